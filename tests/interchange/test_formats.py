"""Models of real attention through every format, compared by energies, and damaged files."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import dimod
import numpy as np
import pytest
from dimod.serialization import coo as dimod_coo
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.interchange import FORMATS, bqpjson, coo

BOTH = [name for name, found in FORMATS.items() if found.read is not None]


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
    for format in ("bqm", "json", "coo"):
        part.export(tmp_path / f"a.{format}")
    data = (tmp_path / "a.bqm").read_bytes()
    assert dimod.BinaryQuadraticModel.from_file(data) == part.bqm
    document = json.loads((tmp_path / "a.json").read_text())
    assert dimod.BinaryQuadraticModel.from_serializable(document) == part.bqm
    read = dimod_coo.loads((tmp_path / "a.coo").read_text())
    read.offset = part.offset  # which dimod's text has no place for
    assert read == part.bqm


def test_we_read_what_dimod_writes() -> None:
    bqm = dimod.BinaryQuadraticModel({2: 0.5, 7: -1.0}, {(2, 7): 0.25}, 0.0, "BINARY")
    assert coo.load(dimod_coo.dumps(bqm, vartype_header=True).encode()) == bqm


@given(
    st.lists(st.floats(-1e300, 1e300), min_size=4, max_size=4),
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3),
    st.sampled_from(["SPIN", "BINARY"]),
    st.floats(-1e9, 1e9),
)
def test_text_and_bqpjson_keep_every_bit(
    linear: list[float], bias: list[float], vartype: str, offset: float
) -> None:
    labels = (0, 5, 17, 10**9)
    couplers = dict(zip(((0, 5), (17, 5), (0, 10**9)), bias, strict=True))
    model = dimod.BinaryQuadraticModel(
        dict(zip(labels, linear, strict=True)), couplers, offset, vartype
    )
    for format in (coo, bqpjson):
        assert format.load(format.dump(model)) == model
    ours, theirs = coo.dump(model).decode(), dimod_coo.loads(coo.dump(model).decode())
    assert "e" not in ours.partition("\n# offset")[2].partition("\n")[2]
    theirs.offset = model.offset
    assert theirs == model


def test_bqpjson_by_its_description() -> None:
    """The example of the format's own page, with a scale and an offset; energies by hand."""
    document = {
        "version": "1.0.0", "id": 0, "metadata": {}, "variable_domain": "spin",
        "variable_ids": [2, 4, 6], "scale": 2.0, "offset": 0.25,
        "linear_terms": [{"id": 2, "coeff": 1.3}, {"id": 6, "coeff": -0.7}],
        "quadratic_terms": [
            {"coeff": -0.2, "id_head": 4, "id_tail": 2},
            {"coeff": 1.5, "id_head": 6, "id_tail": 2},
            {"coeff": 0.5, "id_head": 2, "id_tail": 6},
        ],
    }  # fmt: skip
    model = bqpjson.load(json.dumps(document).encode())
    expected = 2.0 * (1.3 * 1 - 0.7 * -1 + -0.2 * -1 + (1.5 + 0.5) * -1 + 0.25)
    assert model.energy({2: 1, 4: -1, 6: -1}) == pytest.approx(expected)


def test_other_labels_go_where_they_can(tmp_path: Path) -> None:
    model = dimod.BinaryQuadraticModel({("q", 1): 1.0, "b": 0.0}, {(("q", 1), "b"): 2.0}, 0, "SPIN")
    for format in ("bqm", "json"):
        qa.write_bqm(model, tmp_path / f"a.{format}")
        assert qa.read_bqm(tmp_path / f"a.{format}") == model
    for format in ("coo", "bqpjson"):
        with pytest.raises(qa.InputError, match="whole numbers of at least 0 as labels"):
            qa.write_bqm(model, tmp_path / f"a.{format}")
        assert not (tmp_path / f"a.{format}").exists()


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
        ("a.coo", b"0 1 2", "must say what variables are, found none"),
        ("a.coo", b"# vartype=SPIN\n# vartype=BINARY\n", "found .'BINARY', 'SPIN'."),
        ("a.coo", b"# vartype=SPIN\n0 1\n", "holds 2 numbers"),
        ("a.coo", b"# vartype=SPIN\n0 -1 2\n", "-1 is no label"),
        ("a.coo", b"# vartype=SPIN\n0 1.5 2\n", r"1\.5 is no label"),
        ("a.coo", b"# vartype=SPIN\n0 1 two\n", "could not convert"),
        ("a.coo", b"# vartype=SPIN\n0 1 nan\n", "is not finite"),
        ("a.coo", b"\xff", "UnicodeDecodeError"),
        ("a.bqm", b"", "does not read as bqm"),
        ("a.bqm", b"DIMODBQM\x02\x00", "does not read as bqm"),
        ("a.json", b"{}", "does not read as json"),
        ("a.bqpjson", b"[]", "does not read as bqpjson"),
        ("a.bqpjson", b'{"variable_domain": "int"}', "not spin or boolean"),
        ("a.txt", b"", "unknown format 'txt'"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variable_ids": [0, -1]}, "-1 is no variable"),
        ({"variable_ids": [0]}, "variable 1 is not among"),
        ({"variable_ids": [0, 1.0]}, "1.0 is no variable"),
        ({"linear_terms": [{"id": 9, "coeff": 1}]}, "variable 9 is not among"),
        ({"quadratic_terms": [{"id_tail": 1, "id_head": 1, "coeff": 1}]}, "1 to itself"),
        ({"scale": "much"}, "could not convert"),
    ],
)
def test_wrong_bqpjson(change: dict[str, object], message: str) -> None:
    model = dimod.BinaryQuadraticModel({0: 1.0, 1: 2.0}, {(0, 1): 3.0}, 0, "SPIN")
    document = json.loads(bqpjson.dump(model)) | change
    with pytest.raises(ValueError, match=message):
        bqpjson.load(json.dumps(document).encode())


def test_a_model_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    model = dimod.BinaryQuadraticModel({0: np.inf}, {}, 0, "SPIN")
    with pytest.raises(qa.InputError, match="is not finite"):
        qa.write_bqm(model, tmp_path / "a.bqm")
