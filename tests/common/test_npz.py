from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.common.npz import ROOM, packed, unpacked

MANY = ROOM // 8 + 1  # float64 numbers that take more than any file may inflate to


def npy(shape: str, descr: str = "'<f8'", data: bytes = b"") -> bytes:
    """Return an array of NumPy's format whose header says what it likes."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    header += b" " * (118 - len(header) - 1) + b"\n" if len(header) < 117 else b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def archive(file: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packing:
        for name, data in members.items():
            packing.writestr(f"{name}.npy", data)
    return file


def test_arrays_come_back_read_only(tmp_path: Path) -> None:
    arrays = {
        "a/whole": np.arange(6).reshape(2, 3),
        "a/real": np.array([1.5, -np.inf, np.nan]),
        "one": np.array(3),
        "none": np.zeros((0, 2), bool),
    }
    file = tmp_path / "some.npz"
    file.write_bytes(packed(arrays))
    read = unpacked(file)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        assert not read[name].flags.writeable
    assert list(unpacked(file, ["one"])) == ["one"]
    assert packed(arrays) == packed(dict(arrays))


def test_what_packs_like_a_bomb_is_left_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "zeros.npz"
    file.write_bytes(packed({"zeros": np.zeros(MANY)}))
    assert file.stat().st_size > 8 * MANY
    assert unpacked(file)["zeros"].shape == (MANY,)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "bomb.npz"
    np.savez_compressed(file, zeros=np.zeros(MANY))
    assert file.stat().st_size < ROOM / 64
    tracemalloc.start()
    with pytest.raises(qa.InputError, match=r"bomb.npz.* states \d+ bytes of arrays, of 67108864"):
        unpacked(file)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_size_that_is_understated_is_refused(tmp_path: Path) -> None:
    """The directory says that a member is small; what is packed is not read beyond that."""
    file = archive(tmp_path / "short.npz", zeros=npy(f"({MANY},)", data=bytes(8 * MANY)))
    data = file.read_bytes()
    size = (len(npy(f"({MANY},)")) + 8 * MANY).to_bytes(4, "little")
    assert data.count(size) == 2
    file.write_bytes(data.replace(size, (256).to_bytes(4, "little")))
    tracemalloc.start()
    with pytest.raises(qa.InputError, match="array zeros does not read") as caught:
        unpacked(file)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert (caught.value.file, caught.value.array) == (str(file), "zeros")


@pytest.mark.parametrize(
    "content",
    [
        npy("(10**9,)"),
        npy("(1000000000,)", data=bytes(8)),
        npy("(2,)", data=bytes(8)),
        npy("(1,)", data=bytes(16)),
        npy("(-1, -1)", data=bytes(8)),
        npy("(4294967296, 4294967296)", data=bytes(8)),
        npy("(1,)", "'|O'", bytes(8)),
        npy("(1,)", "[('a', '<f8')]", bytes(8)),
        npy("(1,)", "'<U2'", bytes(8)),
        npy("(1.5,)", data=bytes(8)),
        npy("(" * 3000 + ")" * 3000, data=bytes(8)),
        b"\x93NUMPY\x07\x00" + bytes(64),
        b"no array",
        b"",
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, content: bytes) -> None:
    file = archive(tmp_path / "lies.npz", some=content)
    with pytest.raises(qa.InputError, match="array some does not read"):
        unpacked(file)


def test_objects_are_never_made(tmp_path: Path) -> None:
    file = tmp_path / "objects.npz"
    np.savez(file, some=np.array([{}], dtype=object))
    with pytest.raises(qa.InputError, match="array some does not read"):
        unpacked(file)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_are_no_arrays_or_come_twice_are_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.arange(3))
    file = tmp_path / "twice.npz"
    with zipfile.ZipFile(file, "w") as packing:
        packing.writestr("some.npy", content.getvalue())
        packing.writestr("some.npy", content.getvalue())
    with pytest.raises(qa.InputError, match="array some does not read"):
        unpacked(file)
    with zipfile.ZipFile(file, "w") as packing:
        packing.writestr("some.txt", content.getvalue())
    with pytest.raises(qa.InputError, match=r"array some.txt does not read"):
        unpacked(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as packing:
        packing.writestr("some.npy", content.getvalue())
    with pytest.raises(qa.InputError, match="packed in a way that is not read here"):
        unpacked(file)


def test_files_that_are_no_archives_are_named(tmp_path: Path) -> None:
    for content in (b"", b"PK", b"PK\x05\x06" + bytes(18), bytes(1000)):
        file = tmp_path / "other.npz"
        file.write_bytes(content)
        if content.startswith(b"PK\x05"):
            assert unpacked(file) == {}
        else:
            with pytest.raises(qa.InputError, match=r"other.npz does not read"):
                unpacked(file)
    with pytest.raises(qa.InputError, match=r"absent.npz does not read \(No such file"):
        unpacked(tmp_path / "absent.npz")
