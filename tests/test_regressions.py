"""What went wrong once."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import dimod
import numpy as np
import pytest
from dwave.system import FixedEmbeddingComposite
from dwave.system.testing import MockDWaveSampler

import qubo_attn as qa
from qubo_attn.decoding.reads import broken_share, read_parts
from qubo_attn.ir.program import Program

SCORES = np.random.default_rng(0).normal(size=(2, 3, 8))


def test_certified_linear_rows_do_not_change_the_structure(smollm2: dict[str, np.ndarray]) -> None:
    """Which rows need no penalty couplers depends on the data; the placement does not."""
    first = qa.compile(smollm2["scores"], 9, target="zephyr:4")
    assert (first.certificates.weight == 0).any()
    again = first.rebind(smollm2["scores"] * 0.9)
    assert again.stages[-2].program.same(again.program)
    assert again.placement is first.placement


def test_couplers_that_cancel_do_not_break_a_rebind() -> None:
    options = {
        "select": qa.ExactlyK(1),
        "objective": "redundancy",
        "target": "zephyr:1",
        "keys": np.array([[[0.0], [0], [-1]]]),
        "passes": [qa.InsertPenalties(margin=0.5)],
    }
    first = qa.compile([[[-3.0, -1, 0]]], 1, **options)
    again, fresh = first.rebind([[[1.0, 1, 2]]]), qa.compile([[[1.0, 1, 2]]], 1, **options)
    for a, b in zip(again.submissions, fresh.submissions, strict=True):
        assert a.bqm == b.bqm
        assert a.embedding == b.embedding


def test_samples_of_all_qubits_are_unembedded() -> None:
    """Every variable id is also a qubit; the samples are physical all the same."""
    compiled = qa.compile(SCORES, 2, select=qa.ExactlyK(3), target="zephyr:3")
    (part,) = compiled.submissions
    mock = MockDWaveSampler(topology_type="zephyr", topology_shape=[3, 4], parameter_warnings=False)
    used = mock.sample(part.embedded_bqm, num_reads=5)
    idle = [q for q in mock.nodelist if q not in used.variables]
    extra = dimod.SampleSet.from_samples(
        (np.ones((len(used), len(idle)), np.int8), idle), "SPIN", energy=np.zeros(len(used))
    )
    every = dimod.append_variables(used, extra)
    direct, unembedded = compiled.decode([every]), compiled.decode([part.unembed(used)])
    assert np.array_equal(direct.selected, unembedded.selected)
    assert direct.feasible.all()


def test_broken_chains_are_counted_by_occurrence() -> None:
    compiled = qa.compile(SCORES, 2, select=qa.ExactlyK(3), target="zephyr:3")
    (part,) = compiled.submissions
    embedded = part.embedded_bqm
    spins = np.ones((10, len(embedded.variables)), np.int8)
    chain = next(c for c in part.embedding.values() if len(c) > 1)
    spins[0, list(embedded.variables).index(chain[0])] = -1
    sampleset = dimod.SampleSet.from_samples_bqm((spins, list(embedded.variables)), embedded)
    plain = broken_share(read_parts([part], [sampleset]))
    merged = broken_share(read_parts([part], [sampleset.aggregate()]))
    assert plain == pytest.approx(merged)
    assert plain == pytest.approx(0.1 / len(part.variables))


def test_rebind_keeps_the_newest_mask_and_its_own_copy() -> None:
    mask = np.ones((3, 8), bool)
    first = qa.compile(SCORES, 2, mask=mask, target=None)
    mask[:] = False
    assert first.rebind(SCORES).attention.visible.all()
    half = np.zeros((3, 8), bool)
    half[:, :4] = True
    second = first.rebind(SCORES, mask=half)
    assert second.rebind(SCORES).attention.visible.sum() == 24


@pytest.mark.parametrize("damage", ["truncate", "empty", "flip"])
def test_damaged_arrays_are_named(tmp_path: Path, damage: str) -> None:
    qa.compile(SCORES, 2, target=None).save(tmp_path)
    file = tmp_path / "arrays.npz"
    data = file.read_bytes()
    half = len(data) // 2
    file.write_bytes(
        {
            "truncate": data[:half],
            "empty": b"",
            "flip": data[:half] + bytes([data[half] ^ 255]) + data[half + 1 :],
        }[damage]
    )
    with pytest.raises(qa.InputError, match="holds no readable artifact"):
        qa.load(tmp_path)


def test_numpy_options_can_be_saved(tmp_path: Path) -> None:
    compiled = qa.compile(
        SCORES,
        2,
        slots=np.int64(5),
        objective=qa.Selection(np.float32(0.25)),
        target=None,
        tie=qa.TieVariables(((np.int64(0), np.int64(1)),)),
    )
    compiled.save(tmp_path)
    assert qa.load(tmp_path).program.same(compiled.program)


def test_what_cannot_be_read_back_is_not_saved(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Mine(qa.Selection):
        pass

    compiled = qa.compile(SCORES, 2, objective=Mine(), target=None)
    with pytest.raises(qa.InputError, match="Mine cannot be saved"):
        compiled.save(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(qa.InputError, match="is a file; name a folder"):
        qa.compile(SCORES, 2, target=None).save(tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"seed": None}, "seed must be a whole number of at least 0, not None"),
        ({"select": qa.OneHot}, "select must say how many keys"),
        ({"objective": 3}, "objective must be a name or an objective, not 3"),
        ({"objective": qa.Output}, "objective must be a name or an objective"),
        ({"slots": 2.5}, "slots must be a whole number of at least 1, not 2.5"),
        ({"tie": ((0, 1),)}, r"tie must be a qubo_attn.TieVariables, not \(\(0, 1\),\)"),
        ({"tie": qa.TieVariables(((0, 7),))}, "tie names head 7, but there are 2"),
        ({"scores": SCORES + 1j}, "scores is not a rectangular array of numbers"),
    ],
)
def test_odd_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.compile(**({"scores": SCORES, "heads": 2, "target": None} | options))


@pytest.mark.parametrize("groups", [((-1, 0),), (("a", "b"),)])
def test_odd_groups_are_named(groups: tuple[tuple[object, ...], ...]) -> None:
    with pytest.raises(qa.InputError, match="a head of TieVariables must be a whole number"):
        qa.TieVariables(groups)


def test_seeds_of_solve_are_checked_and_numpy_seeds_are_fine(tmp_path: Path) -> None:
    compiled = qa.compile(
        SCORES, 2, select=qa.ExactlyK(3), seed=np.int64(3), target="zephyr:2", cache=tmp_path
    )
    assert list(tmp_path.glob("*/*.packing"))
    with pytest.raises(qa.InputError, match="seed must be from 0"):
        compiled.solve("anneal", seed=-1)


def test_unknown_decoders_are_rejected_before_sampling() -> None:
    class Refuses(dimod.ExactSolver):  # type: ignore[misc]
        def sample(self, bqm: object, **options: object) -> object:
            raise AssertionError("sampled")

    with pytest.raises(qa.InputError, match="unknown decoder"):
        qa.compile(SCORES, 2, target=None).solve(Refuses(), decoder="nothing")


def test_minus_zero_reads_back() -> None:
    program = Program.parse("x[0,0,0] : -0.0\npick[0,0]: x[0,0,0] == 1 price 1 slope -0.5")
    assert Program.parse(program.text(exact=True)).same(program)


def test_targets_do_not_share_their_ranges() -> None:
    qa.Target.zephyr(1).properties["h_range"] = (0.0, 0.0)
    assert qa.Target.zephyr(1).properties["h_range"] == (-6.0, 6.0)


def test_a_machine_without_qubits_is_named() -> None:
    with pytest.raises(qa.TargetError, match="no working qubit is left"):
        qa.Target.zephyr(1).without(qa.Target.zephyr(1).qubits, [])


def test_composites_that_embed_get_the_logical_model() -> None:
    compiled = qa.compile(SCORES[:1], 1, select=qa.ExactlyK(3), target="zephyr:2")
    (part,) = compiled.submissions
    mock = MockDWaveSampler(topology_type="zephyr", topology_shape=[2, 4], parameter_warnings=False)
    result = compiled.solve(FixedEmbeddingComposite(mock, part.embedding), num_reads=10)
    assert (result.selected.sum(axis=-1) == 3).all()


def test_tiny_values_compile() -> None:
    values = np.random.default_rng(1).normal(size=(2, 8, 3)) * 1e-120
    compiled = qa.compile(
        SCORES, 2, select=qa.ExactlyK(3), objective="output", values=values, target="zephyr:3"
    )
    assert compiled.solve("anneal", seed=1).selected.sum() == 18


def test_compiled_kernels_stay_out_of_the_installation(tmp_path: Path) -> None:
    """Left beside the sources they would survive an uninstallation and shadow the next one."""
    code = "from qubo_attn import kernels\nprint(kernels.chain_votes.stats.cache_path)\n"
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=environment | {"XDG_CACHE_HOME": str(tmp_path)},
    )
    assert Path(result.stdout.strip()).is_relative_to(tmp_path)
