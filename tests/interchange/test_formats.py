"""Models of real attention through every format, compared by energies, and damaged files."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import dimod
import numpy as np
import pytest

import qubo_attn as qa

BOTH = ("bqm", "json")


@pytest.fixture(scope="module")
def compiled(minilm: dict[str, np.ndarray]) -> dict[str | None, qa.CompiledAttention]:
    return {
        target: qa.compile(
            minilm["scores"][:4],
            4,
            select=qa.ExactlyK(3),
            objective="output",
            values=minilm["value"][:4],
            target=target,
        )
        for target in ("zephyr:3", None)
    }


def same_energies(a: dimod.BinaryQuadraticModel, b: dimod.BinaryQuadraticModel) -> bool:
    """Compare at points drawn over the labels of the first, term by term."""
    generator = np.random.default_rng(0)
    low = -1 if a.vartype is dimod.SPIN else 0
    for _ in range(5):
        point = {v: int(generator.choice([low, 1])) for v in a.variables}
        energy = b.offset + sum(bias * point[v] for v, bias in b.linear.items())
        energy += sum(bias * point[u] * point[v] for (u, v), bias in b.quadratic.items())
        if abs(energy - a.energy(point)) > 1e-9 * (1 + abs(energy)):
            return False
    return set(a.variables) == set(b.variables) and a.vartype is b.vartype


@pytest.mark.parametrize("format", BOTH)
@pytest.mark.parametrize(("target", "embedded"), [(None, False), ("zephyr:3", 0), ("zephyr:3", 1)])
def test_round_trip(
    format: str,
    target: str | None,
    embedded: bool,
    compiled: dict[str | None, qa.CompiledAttention],
    tmp_path: Path,
) -> None:
    for part in compiled[target].submissions:
        ours, file = part.embedded_bqm if embedded else part.bqm, tmp_path / f"part.{format}"
        part.export(file, embedded=bool(embedded))
        found = qa.read_bqm(file)
        assert found == ours
        assert same_energies(ours, found)
        bytes_before = file.read_bytes()
        part.export(file, embedded=bool(embedded))
        assert file.read_bytes() == bytes_before


def test_dimod_reads_what_we_write(
    compiled: dict[str | None, qa.CompiledAttention], tmp_path: Path
) -> None:
    part = compiled["zephyr:3"].submissions[0]
    for format in BOTH:
        part.export(tmp_path / f"a.{format}")
    data = (tmp_path / "a.bqm").read_bytes()
    assert dimod.BinaryQuadraticModel.from_file(data) == part.bqm
    document = json.loads((tmp_path / "a.json").read_text())
    assert dimod.BinaryQuadraticModel.from_serializable(document) == part.bqm


def test_other_labels_are_kept(tmp_path: Path) -> None:
    model = dimod.BinaryQuadraticModel({("q", 1): 1.0, "b": 0.0}, {(("q", 1), "b"): 2.0}, 0, "SPIN")
    for format in BOTH:
        qa.write_bqm(model, tmp_path / f"a.{format}")
        assert qa.read_bqm(tmp_path / f"a.{format}") == model


@pytest.mark.parametrize("format", BOTH)
def test_empty_models(format: str, tmp_path: Path) -> None:
    model = dimod.BinaryQuadraticModel({}, {}, 1.5, "BINARY")
    qa.write_bqm(model, tmp_path / "a", format)
    assert qa.read_bqm(tmp_path / "a", format) == model


def test_the_wire_format_is_what_a_client_sends(
    compiled: dict[str | None, qa.CompiledAttention], tmp_path: Path
) -> None:
    part, file = compiled["zephyr:3"].submissions[0], tmp_path / "a.qp"
    part.export(file)
    found = json.loads(file.read_text())
    assert found == part.wire()
    fields = np.frombuffer(base64.b64decode(found["lin"]), "<f8")
    assert int((~np.isnan(fields)).sum()) == part.qubits
    with pytest.raises(qa.InputError, match="qp cannot be read back"):
        qa.read_bqm(file)
    with pytest.raises(qa.InputError, match="takes a submission with its placement"):
        qa.write_bqm(part.bqm, file)
    with pytest.raises(qa.DecodeError, match="without a structured target"):
        compiled[None].submissions[0].export(file)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bqm", b"", "does not read as bqm"),
        ("a.bqm", b"DIMODBQM\x02\x00", "does not read as bqm"),
        ("a.json", b"{}", "does not read as json"),
        ("a.json", b"{", "does not read as json: Expecting property name"),
        ("a.txt", b"", "unknown format 'txt'"),
        ("a.coo", b"", "unknown format 'coo'; one of bqm, json, qp"),
        ("a.bqn", b"", "unknown format 'bqn'.*; did you mean 'bqm'"),
        ("a", b"", "does not say its format"),
    ],
)
def test_what_does_not_read_is_named(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(qa.InputError, match=message):
        qa.read_bqm(file)
    with pytest.raises(qa.InputError):
        qa.read_bqm(tmp_path / "absent.bqm")


def test_a_model_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    model = dimod.BinaryQuadraticModel({0: np.inf}, {}, 0, "SPIN")
    with pytest.raises(qa.InputError, match="is not finite"):
        qa.write_bqm(model, tmp_path / "a.bqm")
