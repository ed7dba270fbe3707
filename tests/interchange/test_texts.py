from __future__ import annotations

from pathlib import Path

import dimod
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.interchange.bits import Bits
from qubo_attn.interchange.texts import to_qplib
from tests.support.qplib import read_qplib


def models(seed: int, size: int, vartype: str) -> dimod.BinaryQuadraticModel:
    generator = np.random.default_rng(seed)
    model = dimod.generators.gnp_random_bqm(size, 0.5, vartype, random_state=seed)
    model.scale(1 / 3)
    model.offset = float(generator.normal())
    return model


def states(size: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (40, size))


def energies(model: dimod.BinaryQuadraticModel, bits: np.ndarray) -> np.ndarray:
    values = bits if model.vartype is dimod.BINARY else 2 * bits - 1
    return np.asarray(model.energies((values, list(model.variables))))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.sampled_from(["SPIN", "BINARY"]))
def test_qplib_has_the_energies(seed: int, size: int, vartype: str) -> None:
    model, x = models(seed, size, vartype), states(size)
    read = read_qplib(to_qplib(Bits.of(model)).decode())
    np.testing.assert_allclose(read.energies(x), energies(model, x), atol=1e-12)


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
@pytest.mark.parametrize("size", [1, 12])
def test_scipy_reads_the_energies(tmp_path: Path, vartype: str, size: int) -> None:
    model, x, file = models(3, size, vartype), states(size), tmp_path / "model.mtx"
    qa.write_bqm(model, file)
    matrix = scipy.io.mmread(file, spmatrix=False).toarray()
    assert np.array_equal(matrix, matrix.T)
    (text,) = [line for line in file.read_text().splitlines() if "offset: " in line]
    offset = float(text.split("offset: ")[1])
    found = np.einsum("si,ij,sj->s", x, matrix, x) + offset
    np.testing.assert_allclose(found, energies(model, x), atol=1e-12)


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
@pytest.mark.parametrize("ending", ["mtx", "npz"])
def test_what_is_written_reads_back(tmp_path: Path, vartype: str, ending: str) -> None:
    model, x, file = models(5, 10, vartype), states(10), tmp_path / f"model.{ending}"
    qa.write_bqm(model, file)
    back = qa.read_bqm(file)
    np.testing.assert_allclose(energies(back, x), energies(model, x), atol=1e-12)
    bits = model.change_vartype("BINARY", inplace=False)
    assert back == bits
    first = file.read_bytes()
    qa.write_bqm(model, file)
    assert file.read_bytes() == first


def test_numpy_reads_the_arrays(tmp_path: Path) -> None:
    model, x = models(5, 8, "BINARY"), states(8)
    qa.write_bqm(model, tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as file:
        pairs = (x[:, file["i"]] * x[:, file["j"]]) @ file["bias"]
        found = x @ file["linear"] + pairs + file["offset"]
    np.testing.assert_allclose(found, energies(model, x), atol=1e-12)


def test_a_submission_is_exported(tmp_path: Path) -> None:
    compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="all-to-all")
    for ending in ("mtx", "npz"):
        compiled.submissions[0].export(tmp_path / f"row.{ending}")
        assert qa.read_bqm(tmp_path / f"row.{ending}") == compiled.submissions[0].bqm
    compiled.submissions[0].export(tmp_path / "row.qplib")
    assert (tmp_path / "row.qplib").read_text().splitlines()[1] == "QBN"


@pytest.mark.parametrize("ending", ["mtx", "npz", "qplib"])
def test_what_does_not_read_says_so(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"odd.{ending}"
    for content in (b"", b"nothing", b"%%MatrixMarket matrix coordinate real general\n2 3 0\n"):
        file.write_bytes(content)
        with pytest.raises(qa.InputError, match=r"odd\."):
            qa.read_bqm(file)
