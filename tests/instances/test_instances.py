"""Instances of real attention: proofs beside enumeration, formats, provenance, the folder."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import islice
from pathlib import Path

import dimod
import numpy as np
import pytest
import scipy.io

import qubo_attn as qa
from tests.conftest import ROOT
from tests.support.qplib import read_qplib

ATTENTION = ROOT / "fixtures" / "attention"
FILES = sorted(ATTENTION.glob("*.npz"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[qa.Instance, ...]]:
    folder = tmp_path_factory.mktemp("small")
    return folder, qa.write_instances(folder, FILES, 500, sizes=(8, 12), licence="Apache-2.0")


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[qa.Instance, ...]]:
    folder = tmp_path_factory.mktemp("larger")
    return folder, qa.write_instances(folder, FILES, 42, sizes=(15, 22), seed=3)


@cache
def states_of(size: int) -> np.ndarray:
    """Return all states, the first bit the slowest."""
    return (np.arange(2**size)[:, None] >> np.arange(size - 1, -1, -1) & 1).astype(np.float64)


def matrix_of(file: Path) -> tuple[np.ndarray, float]:
    """Return the matrix and the constant of a Matrix Market file, as SciPy reads it."""
    (line,) = (text for text in file.read_text().splitlines()[:4] if "offset: " in text)
    return scipy.io.mmread(file, spmatrix=False).toarray(), float(line.split("offset: ")[1])


def energies(matrix: np.ndarray, offset: float, x: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("si,si->s", x @ matrix, x) + offset)


def check(instance: qa.Instance, folder: Path) -> None:
    """Compare what is proven with all states of the file."""
    matrix, offset = matrix_of(folder / f"{instance.name}.mtx")
    size = len(matrix)
    head = min(size, 14)  # states are taken in blocks that share their first bits
    lowest, optima, second = np.inf, 0, np.inf
    tail, block = states_of(head), np.zeros((2**head, size))
    block[:, size - head :] = tail
    for first in states_of(size - head):
        block[:, : size - head] = first
        found = energies(matrix, offset, block)
        if found.min() < lowest - instance.rounding:
            second, lowest, optima = min(second, lowest), found.min(), 0
        optima += int((found <= lowest + instance.rounding).sum())
        second = min(second, found[found > lowest + instance.rounding].min(initial=np.inf))
    assert instance.offset == offset
    assert instance.energy == pytest.approx(lowest, abs=instance.rounding)
    assert instance.optima == optima
    if instance.second is not None:
        assert instance.second == pytest.approx(second, abs=instance.rounding)
        assert instance.gap == instance.second - instance.energy > 99 * instance.rounding
    for text, energy in ((instance.state, lowest), (instance.second_state, instance.second)):
        if energy is not None:
            state = np.array([list(map(float, text))])
            assert energies(matrix, offset, state)[0] == pytest.approx(energy, abs=1e-9)


def test_five_hundred_small_ones_beside_enumeration(
    small: tuple[Path, tuple[qa.Instance, ...]],
) -> None:
    folder, made = small
    assert len({(one.kind, one.objective) for one in made}) == 13
    assert len({(folder / f"{one.name}.mtx").read_bytes() for one in made}) == len(made) == 500
    for one in made:
        assert one.proof == "enumeration"
        assert one.second is not None
        check(one, folder)


def test_larger_ones_beside_enumeration(larger: tuple[Path, tuple[qa.Instance, ...]]) -> None:
    folder, made = larger
    assert {one.proof for one in made} >= {"enumeration", "branch and bound"}
    for one in made:
        assert one.proof == "enumeration" or one.variables > 20
        check(one, folder)


def test_the_largest_are_proven_and_are_optima_of_the_program(tmp_path: Path) -> None:
    """Beyond enumeration: the local solver proves the same selections, without penalties."""
    made = qa.write_instances(tmp_path, FILES, 14, sizes=(24, 30))
    kinds = [one for one in made if one.kind in ("row", "at-most", "coupled")]
    assert len(kinds) > 5
    for one in kinds:
        compiled = compiled_again(one)
        program = compiled.stages[compiled.unpriced].program
        solution, v = qa.LocalSolver("exact").solve(program), program.variables
        kept = {
            (one.heads[v.head[i]], one.queries[v.query[i]], int(v.key[i]))
            for i in np.flatnonzero(solution.point)
            if v.key[i] >= 0
        }
        assert kept == {place[:3] for place in one.selection}


def compiled_again(one: qa.Instance) -> qa.CompiledAttention:
    """Compile an instance by what its index says."""
    arrays = qa.read_attention(ATTENTION / one.source)
    heads, queries = list(one.heads), list(one.queries)
    coupling = {"hard": qa.Diversity(), "boltzmann": qa.Agreement()}.get(
        one.objective, qa.Diversity()
    )
    return qa.compile(
        arrays["scores"][heads][:, queries],
        select=eval(f"qa.{one.select}"),
        objective=one.objective,
        values=arrays["values"][heads],
        keys=arrays["keys"][heads],
        coupling=coupling if one.kind == "coupled" else None,
        slots=one.slots,
        target=None,
    )


def test_an_instance_is_compiled_again_from_its_index(
    small: tuple[Path, tuple[qa.Instance, ...]],
) -> None:
    folder, made = small
    rows = [one for one in made if one.kind in ("row", "at-most", "coupled")]
    for one in islice(rows, 0, None, 20):
        model = compiled_again(one).submissions[0].bqm
        assert qa.read_bqm(folder / f"{one.name}.bqm") == model


def test_three_readers_see_the_same_energies(
    small: tuple[Path, tuple[qa.Instance, ...]], larger: tuple[Path, tuple[qa.Instance, ...]]
) -> None:
    generator = np.random.default_rng(7)
    for folder, made in (small, larger):
        for one in made[::9] if folder == small[0] else made:
            x = generator.integers(0, 2, (40, one.variables)).astype(float)
            truth = energies(*matrix_of(folder / f"{one.name}.mtx"), x)
            library = read_qplib((folder / f"{one.name}.qplib").read_text())
            np.testing.assert_allclose(library.energies(x), truth, atol=1e-9)
            data = (folder / f"{one.name}.bqm").read_bytes()
            model = dimod.BinaryQuadraticModel.from_file(data)
            np.testing.assert_allclose(model.energies(x), truth, atol=1e-9)
            assert (model.num_variables, model.num_interactions) == (one.variables, one.couplers)


def test_constraints_in_place_of_penalties(small: tuple[Path, tuple[qa.Instance, ...]]) -> None:
    """The states that keep them have the same two lowest energies."""
    folder, made = small
    for one in made:
        model = read_qplib((folder / f"{one.name}.constrained.qplib").read_text())
        x = states_of(len(model.linear))
        good = model.energies(x[model.feasible(x)])
        if one.margin is not None:
            assert good.min() == pytest.approx(one.energy, abs=1e-9)
        others = good[good > good.min() + one.rounding]
        if one.feasible_second is not None:
            assert others.min() == pytest.approx(one.feasible_second, abs=1e-9)
        else:
            assert len(others) == 0


def test_another_package_reads_qplib(small: tuple[Path, tuple[qa.Instance, ...]]) -> None:
    v1 = pytest.importorskip("ommx.v1", reason="needs the package ommx")
    folder, made = small
    for one in made[::60]:
        instance = v1.Instance.load_qplib(str(folder / f"{one.name}.qplib"))
        for text, energy in ((one.state, one.energy), (one.second_state, one.second)):
            found = instance.evaluate(dict(enumerate(map(float, text)))).objective
            assert found == pytest.approx(energy, abs=1e-9)


def test_certificates_hold_beside_all_states(small: tuple[Path, tuple[qa.Instance, ...]]) -> None:
    """States above the optimum by less than the margin keep every constraint."""
    folder, made = small
    certified = [one for one in made if one.margin is not None]
    assert len(certified) > 400
    for one in certified[::7]:
        if one.kind not in ("row", "coupled", "tied"):
            continue
        assert len(one.certificates) == len(one.penalties)
        program = compiled_again(one).program if one.kind != "tied" else None
        matrix, offset = matrix_of(folder / f"{one.name}.mtx")
        x = states_of(one.variables)
        close = energies(matrix, offset, x) < one.energy + one.margin * (1 - 1e-9)
        keep = int(one.select.partition("k=")[2].rstrip(")") or 1)
        if program is None:
            assert (x[close].sum(axis=1) == keep).all()
        else:
            assert program.feasible(x[close]).all()


def test_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    options = {"count": 20, "sizes": (8, 24), "seed": 5}
    qa.write_instances(tmp_path / "one", FILES, **options)
    code = (
        "import sys, qubo_attn as qa\n"
        f"qa.write_instances(sys.argv[1], sys.argv[2:], **{options!r})\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "two"), *map(str, FILES)]
    subprocess.run(command, check=True, cwd=ROOT)
    one, two = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) == 4 * 20 + 2
    other = qa.write_instances(tmp_path / "three", FILES, **(options | {"seed": 6}))
    assert one != {file.name: file.read_bytes() for file in (tmp_path / "three").iterdir()}
    assert len(other) == 20


def test_the_index_says_where_rows_come_from(
    small: tuple[Path, tuple[qa.Instance, ...]],
) -> None:
    folder, made = small
    document = json.loads((folder / "index.json").read_text())
    assert document["made_by"] == {"package": "qubo-attn", "version": qa.__version__}
    assert (document["seed"], document["sizes"]) == (0, [8, 12])
    for source in document["sources"]:
        data = (ATTENTION / source["file"]).read_bytes()
        assert source["sha256"] == hashlib.sha256(data).hexdigest()
        assert source["licence"] == "Apache-2.0"
    models = {source["model"] for source in document["sources"]}
    assert models == {"all-MiniLM-L6-v2", "SmolLM2-135M-Instruct-Q4_1"}
    with (folder / "index.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    for one, fields, row in zip(made, document["instances"], table, strict=True):
        assert fields == json.loads(json.dumps(one.to_dict()))
        assert (row["name"], float(row["energy"]), row["state"]) == (
            one.name,
            one.energy,
            one.state,
        )
        assert float(row["gap"]) == one.gap
        for ending, digest in one.files.items():
            data = (folder / f"{one.name}.{ending}").read_bytes()
            assert (
                digest
                == row[f"sha256_{ending.replace('.', '_')}"]
                == hashlib.sha256(data).hexdigest()
            )
        assert len(row["selection"].split(";")) == len(one.selection)
    assert len(list(folder.iterdir())) == 4 * len(made) + 2


def test_selections_are_what_rows_keep(small: tuple[Path, tuple[qa.Instance, ...]]) -> None:
    """The optimum of a certified model keeps its constraints."""
    for one in small[1]:
        if one.margin is None or one.kind == "soft":
            continue
        keep = int(one.select.partition("k=")[2].rstrip(")") or 1)
        kept = Counter(place[0] for place in one.selection)
        if one.kind == "at-most":
            assert max(kept.values()) <= keep
        elif one.kind == "tied":
            assert len({place[2] for place in one.selection}) == keep
        else:
            assert kept == dict.fromkeys(one.heads, keep)


def test_layers_with_their_projection(tmp_path: Path) -> None:
    with np.load(FILES[0]) as file:
        arrays = {name: file[name] for name in ("scores", "value", "key")}
    heads, _, width = arrays["value"].shape
    arrays["output_projection"] = np.random.default_rng(0).normal(size=(heads, width, 8))
    np.savez(tmp_path / "layer.npz", licence="CC0-1.0", layer=4, **arrays)
    made = qa.write_instances(tmp_path / "made", tmp_path / "layer.npz", 16, sizes=(8, 10))
    assert "layer" in {one.objective for one in made}
    assert {(one.licence, one.layer, one.model) for one in made} == {("CC0-1.0", 4, None)}
    for one in made:
        check(one, tmp_path / "made")


def test_scores_alone_are_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", np.random.default_rng(0).normal(size=(3, 6, 12)))
    made = qa.write_instances(tmp_path / "made", tmp_path / "scores.npy", 12, sizes=(8, 12))
    without = {"selection", "sparsemax", "least_squares", "hard", "boltzmann"}
    assert {"selection"} < {one.objective for one in made} <= without


def test_a_folder_is_replaced_as_one(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    first = qa.write_instances(folder, FILES, 5, sizes=(8, 12))
    (folder / "notes.txt").write_text("kept")
    with pytest.raises(qa.InputError, match="is there already; force=True"):
        qa.write_instances(folder, FILES, 5)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    # What fails leaves all as it was.
    with pytest.raises(qa.InputError, match="hold only about"):
        qa.write_instances(folder, FILES[0], 100_000, sizes=(64, 64), force=True)
    assert before == {file.name: file.read_bytes() for file in folder.iterdir()}
    second = qa.write_instances(folder, FILES, 3, sizes=(8, 12), seed=1, force=True)
    names = {file.name for file in folder.iterdir()}
    assert len(names) == 4 * 3 + 3
    assert "notes.txt" in names
    assert {one.name for one in first} - {one.name for one in second}


def test_an_index_of_somebody_else_removes_nothing_outside(tmp_path: Path) -> None:
    (tmp_path / "victim.mtx").write_text("kept")
    folder = tmp_path / "made"
    folder.mkdir()
    for content in ('{"instances": [{"name": "../victim"}]}', "[", "{}", '{"instances": [3]}'):
        (folder / "index.json").write_text(content)
        qa.write_instances(folder, FILES[0], 2, sizes=(8, 10), force=True)
    assert (tmp_path / "victim.mtx").read_text() == "kept"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"files": []}, "names no file"),
        ({"files": "absent.npz"}, "absent.npz"),
        ({"count": 0}, "count must be a whole number from 1"),
        ({"count": -3}, "count must be a whole number from 1"),
        ({"sizes": (8, 65)}, "sizes must be a whole number from 2 to 64"),
        ({"sizes": (12, 8)}, "sizes must be a whole number from 2 to 8"),
        ({"sizes": (8,)}, "sizes must be two numbers"),
        ({"licence": 3}, "licence must be a text"),
        ({"sizes": (60, 64), "files": FILES[0], "count": 3000}, "hold only about"),
    ],
)
def test_arguments_that_do_not_fit(
    options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.write_instances(**({"folder": tmp_path / "made", "files": FILES, "count": 2} | options))
    assert not (tmp_path / "made").exists() or not any((tmp_path / "made").iterdir())


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz", value=np.zeros((1, 3, 2)))
    with pytest.raises(qa.InputError, match=r"none\.npz holds no array named scores"):
        qa.write_instances(tmp_path / "made", tmp_path / "none.npz", 2)
    np.savez(tmp_path / "odd.npz", scores=np.zeros((1, 3, 3)), value=np.zeros((1, 4, 2)))
    with pytest.raises(qa.InputError, match=r"odd\.npz: "):
        qa.write_instances(tmp_path / "made", tmp_path / "odd.npz", 2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(qa.InputError, match=r"empty holds no \.npz"):
        qa.write_instances(tmp_path / "made", tmp_path / "empty", 2)
    graph = {"indptr": [0, 2, 4], "indices": [0, 1, 0, 1], "scores": np.ones((1, 4))}
    np.savez(tmp_path / "graph.npz", **graph)
    with pytest.raises(qa.InputError, match=r"graph\.npz holds scores of a graph"):
        qa.write_instances(tmp_path / "made", tmp_path / "graph.npz", 2)
