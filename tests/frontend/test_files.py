"""Attention from files, and every way in which they can be damaged."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from tests.conftest import ROOT, read

# Written by the package safetensors 0.8.0, see fixtures/README.md.
PART = ROOT / "fixtures" / "attention" / "minilm_d02_L1_n10_part.safetensors"


def packed(facts: Any, data: bytes, length: int | None = None) -> bytes:
    header = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def write(folder: Path, arrays: dict[str, tuple[str, np.ndarray]]) -> Path:
    """What the format says, written independently of the reader."""
    facts, data = {}, b""
    for name, (dtype, array) in arrays.items():
        raw = array.tobytes()
        offsets = [len(data), len(data) + len(raw)]
        facts[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        data += raw
    file = folder / "a.safetensors"
    file.write_bytes(packed(facts, data))
    return file


def test_a_file_of_the_formats_own_package_reads() -> None:
    whole, arrays = read("minilm_d02_L1_n10"), qa.read_attention(PART)
    assert arrays["scores"].dtype == np.float16
    assert np.array_equal(arrays["scores"], whole["scores"][:2, :4].astype(np.float16))
    assert np.array_equal(arrays["values"], whole["value"][:2, :, :4])
    compiled = qa.compile(heads=2, select=qa.ExactlyK(3), objective="output", target=None, **arrays)
    assert compiled.solve("anneal", seed=1).feasible.all()


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("F64", "<f8"), ("F32", "<f4"), ("F16", "<f2"), ("I64", "<i8"), ("I32", "<i4"),
        ("I16", "<i2"), ("I8", "i1"), ("U64", "<u8"), ("U32", "<u4"), ("U16", "<u2"),
        ("U8", "u1"), ("BOOL", "?"),
    ],
)  # fmt: skip
def test_types(dtype: str, kind: str, tmp_path: Path) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)
    file = write(tmp_path, {"odd": ("U8", np.zeros(3, "u1")), "scores": (dtype, array)})
    found = qa.read_attention(file)["scores"]
    assert found.dtype == np.dtype(kind)
    assert np.array_equal(found, array)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=20))
def test_brain_floats_are_upper_halves(numbers: list[float]) -> None:
    halves = (np.array(numbers, "<f4").view("<u4") >> 16).astype("<u2")
    with tempfile.TemporaryDirectory() as folder:
        found = qa.read_attention(write(Path(folder), {"scores": ("BF16", halves)}))["scores"]
    assert found.dtype == np.float32
    exact = (np.array(numbers, "<f4").view("<u4") & np.uint32(0xFFFF0000)).view("<f4")
    assert np.array_equal(found, exact)


def test_empty_and_scalar_arrays_read(tmp_path: Path) -> None:
    empty, scalar = np.zeros((2, 0, 3), "<f4"), np.array(1.5, "<f8")
    file = write(tmp_path, {"empty": ("F32", empty), "scalar": ("F64", scalar)})
    assert qa.read_attention(file, "empty")["scores"].shape == (2, 0, 3)
    assert qa.read_attention(file, "scalar")["scores"][()] == 1.5


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
EIGHT = bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01" * 7,
        packed({"a": ONE}, EIGHT, 10**12),
        packed(b"{", b""),
        packed(b"\xff\xfe{}", b""),
        packed([], b""),
        packed({"a": 3}, EIGHT),
        packed({"a": ONE | {"shape": [-2]}}, EIGHT),
        packed({"a": ONE | {"shape": [3]}}, EIGHT),
        packed({"a": ONE}, bytes(7)),
        packed({"a": ONE}, bytes(9)),
        packed({"a": ONE | {"data_offsets": [4, 12]}}, bytes(12)),
        packed({"a": ONE, "b": ONE}, EIGHT),
    ],
)
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "bad.safetensors"
    file.write_bytes(content)
    with pytest.raises(qa.InputError, match=r"bad\.safetensors does not read as \.safetensors"):
        qa.read_attention(file)
    file.unlink()
    with pytest.raises(qa.InputError, match=r"there is no file .*bad\.safetensors"):
        qa.read_attention(file)


def test_the_package_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(
        qa.MissingExtraError, match=r"pip install safetensors \(extra \[safetensors\]\)"
    ):
        qa.read_attention(PART)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole, file = PART.read_bytes(), tmp_path / "cut.safetensors"
    for length in range(0, len(whole), 13):
        file.write_bytes(whole[:length])
        with pytest.raises(qa.InputError, match="does not read"):
            qa.read_attention(file)


def test_types_that_numpy_lacks_are_named_when_asked_for(tmp_path: Path) -> None:
    eight = np.zeros(4, "u1")
    file = write(tmp_path, {"weight": ("F8_E4M3", eight), "scores": ("F32", np.zeros(2, "<f4"))})
    assert qa.read_attention(file)["scores"].shape == (2,)
    with pytest.raises(qa.InputError, match=r"array 'weight' has type F8_E4M3.* save it as F32"):
        qa.read_attention(file, "weight")


def test_archives_give_what_compile_takes(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    mask = np.tri(3, dtype=bool)
    np.savez(file, logits=np.eye(3), value=np.ones((1, 3, 2)), mask=mask, text=np.array("hello"))
    assert set(qa.read_attention(file, "logits")) == {"scores", "values", "mask"}
    with pytest.raises(
        qa.InputError, match=r"no array named scores .found logits, value, mask, te"
    ):
        qa.read_attention(file)
    with pytest.raises(qa.InputError, match="did you mean 'logits'"):
        qa.read_attention(file, "logit")


@pytest.mark.parametrize("damage", ["absent", "empty", "text", "objects", "cut", "none", "huge"])
def test_damaged_arrays_are_named(damage: str, tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez_compressed(file, scores=np.random.default_rng(0).normal(size=(4, 50)))
    if damage == "absent":
        file.unlink()
    elif damage == "objects":
        np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
        file = tmp_path / "o.npy"
    elif damage == "none":
        np.savez(file)
    elif damage == "huge":
        file = tmp_path / "h.npy"
        np.save(file, np.zeros(3))
        file.write_bytes(file.read_bytes().replace(b"(3,), ", b"(3" + b"0" * 17 + b",), ", 1))
    else:
        content = file.read_bytes()
        file.write_bytes(
            {"empty": b"", "text": b"1 2 3", "cut": content[: len(content) // 2]}[damage]
        )
    with pytest.raises(qa.InputError, match=file.name):
        qa.read_attention(file)


def test_other_files_are_not_called_pickled(tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text("# Notes")
    with pytest.raises(qa.InputError, match=r"notes\.md does not read as .* it begins"):
        qa.read_attention(file)
