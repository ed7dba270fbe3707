from __future__ import annotations

import dataclasses
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import qubo_attn as qa
from tests.support.artifacts import rewrite_array


@pytest.mark.parametrize("target", ["zephyr:3", "all-to-all", None, "named"])
def test_round_trip(target: str | None, tmp_path: Path, minilm: dict[str, np.ndarray]) -> None:
    where = target
    if target == "named":
        graph = nx.complete_graph(60)
        where = nx.relabel_nodes(graph, {v: ("q", v) for v in graph})
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"],
        target=where,
        tie=qa.TieVariables(groups=((0, 1),)),
    )
    compiled.save(tmp_path / "a")
    loaded = qa.load(tmp_path / "a")
    assert loaded.program.same(compiled.program)
    assert [s.text for s in loaded.stages] == [s.text for s in compiled.stages]
    assert loaded.lift_to(0).same(compiled.lift_to(0))
    for a, b in zip(loaded.submissions, compiled.submissions, strict=True):
        assert a.bqm == b.bqm
        assert a.embedding == b.embedding
    x, y = loaded.solve("anneal", seed=3), compiled.solve("anneal", seed=3)
    assert np.array_equal(x.weights, y.weights)
    assert loaded.bound == compiled.bound
    assert not list(tmp_path.glob("**/*.pkl"))
    scores = minilm["scores"] * 0.5
    assert loaded.rebind(scores).program.same(compiled.rebind(scores).program)
    if target is not None:
        assert loaded.recipe.target.hash == compiled.recipe.target.hash


def test_each_select_and_objective_is_kept(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    heads = [
        qa.Head(select=qa.OneHot(), objective=qa.Selection(alpha=0.25)),
        qa.Head(select=qa.ExactlyK(2), objective=qa.Redundancy(strength=0.5)),
    ]
    compiled = qa.compile(
        generator.normal(size=(2, 3, 5)),
        heads,
        keys=generator.normal(size=(2, 5, 3)),
        mask=np.tri(3, 5, 2, dtype=bool),
        target=None,
        passes=(
            qa.Sparsify(slots=4, nucleus=0.9, sizes=(3, 5)),
            qa.DropCouplers(budget=0.1),
            qa.Compress(bits=7),
            qa.InsertPenalties(linear=True),
        ),
    )
    compiled.save(tmp_path)
    loaded = qa.load(tmp_path)
    assert loaded.recipe.selects == compiled.recipe.selects
    assert loaded.recipe.objectives == compiled.recipe.objectives
    assert loaded.recipe.passes == compiled.recipe.passes
    scores = generator.normal(size=(2, 3, 5))
    assert loaded.rebind(scores).program.same(compiled.rebind(scores).program)


@pytest.mark.parametrize("damage", ["absent", "json", "format", "npz"])
def test_folders_that_do_not_read_are_named(tmp_path: Path, damage: str) -> None:
    compiled = qa.compile(np.random.default_rng(0).normal(size=(1, 1, 12)), 1, target=None)
    folder = tmp_path / "artifact"
    if damage != "absent":
        compiled.save(folder)
    facts = folder / "artifact.json"
    if damage == "json":
        facts.write_text("{")
    elif damage == "format":
        facts.write_text(facts.read_text().replace('"format": 5', '"format": 99'))
    elif damage == "npz":
        (folder / "arrays.npz").write_bytes(b"PK")
    message = "there is no folder .*artifact;" if damage == "absent" else "no readable artifact"
    with pytest.raises(qa.InputError, match=message):
        qa.load(folder)


@pytest.mark.parametrize("target", ["all-to-all", None, "zephyr:3"])
def test_certificates_are_kept_and_still_prove(
    target: str | None, tmp_path: Path, minilm: dict[str, np.ndarray]
) -> None:
    options = {"select": qa.ExactlyK(3), "objective": "output", "target": target}
    compiled = qa.compile(minilm["scores"][:2], 2, values=minilm["value"][:2], **options)
    compiled.save(tmp_path)
    saved, found = qa.load(tmp_path).certificates, compiled.certificates
    assert saved.program.same(found.program)
    for name in ("index", "weight", "slope", "margin", "method", "upper", "lower", "witness"):
        assert np.array_equal(getattr(saved, name), getattr(found, name), equal_nan=True)
    assert saved.recheck() == []
    assert saved.steps == found.steps


def test_tampered_artifacts_fail_the_recheck(tmp_path: Path, minilm: dict[str, np.ndarray]) -> None:
    options = {"select": qa.ExactlyK(3), "objective": "output", "target": None}
    compiled = qa.compile(minilm["scores"][:2], 2, values=minilm["value"][:2], **options)
    worst = int(compiled.certificates.weight.argmax())
    priced = [s.name for s in compiled.stages].index("insert-penalties")

    def lowered(weight: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(weight)) == worst, 0.5 * weight, weight)

    compiled.save(tmp_path)
    rewrite_array(tmp_path, f"stage{priced}/c.weight", lowered)
    loaded = qa.load(tmp_path)
    # The price that is sampled is the price that is proven: there is no second copy of it.
    assert loaded.program.constraints.weight[worst] == 0.5 * compiled.certificates.weight[worst]
    assert loaded.certificates.recheck() == [compiled.certificates.labels[worst]]
    compiled.save(tmp_path)
    rewrite_array(tmp_path, f"stage{priced}/o.linear", lambda linear: 1.5 * linear)
    assert qa.load(tmp_path).certificates.recheck() != []


def test_certificates_of_another_program_bring_it_along(tmp_path: Path) -> None:
    scores = np.random.default_rng(1).normal(size=(1, 2, 5))
    compiled = qa.compile(
        scores,
        1,
        select=qa.AtMostK(2),
        objective="output",
        values=np.random.default_rng(2).normal(size=(1, 5, 3)),
        target=None,
    )
    stages = list(compiled.stages)
    index = [s.name for s in stages].index("insert-penalties")
    found = stages[index].rewrite.certificates
    assert found is not None
    sums = {"lower": np.zeros(12), "witness": np.zeros(10, np.uint8)}
    other = dataclasses.replace(found, program=stages[0].program, index=np.arange(2), **sums)
    rewrite = dataclasses.replace(stages[index].rewrite, certificates=other)
    stages[index] = dataclasses.replace(stages[index], rewrite=rewrite)
    dataclasses.replace(compiled, stages=tuple(stages)).save(tmp_path)
    loaded = qa.load(tmp_path).certificates
    assert loaded.program.same(stages[0].program)
    assert np.array_equal(loaded.weight, found.weight)
