from __future__ import annotations

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.ir.lift import Lift
from qubo_attn.report.page.example_row import example_row, part_of, row_members
from tests.support.markup import check


def test_a_part_of_a_program_has_its_energies(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(minilm["scores"][:2], 2, select=qa.ExactlyK(2), slots=6, target=None)
    row = example_row(compiled.stages)
    assert row is not None
    head, query = row
    rng = np.random.default_rng(0)
    for stage, members in zip(
        compiled.stages, row_members(compiled.stages, head, query), strict=True
    ):
        program = stage.program
        part = part_of(program, members)
        part.verify()
        assert part.labels == [program.label(v) for v in members]
        assert set(part.variables.head) == {head}
        assert set(part.variables.query) == {query}
        points = np.zeros((8, len(program)))
        points[:, members] = rng.integers(0, 2, (8, len(members)))
        rest = program.energies(np.zeros((1, len(program))))
        own = part.energies(np.zeros((1, len(part))))
        assert part.energies(points[:, members]) - own == pytest.approx(
            program.energies(points) - rest
        )


@pytest.mark.parametrize(
    ("select", "shape"),
    [
        (qa.AtMostK(3), "dense"),
        (qa.ExactlyK(3), "network"),
        (qa.ExactlyK(3), "grid"),
        (qa.SoftWeights(3), "dense"),
    ],
    ids=["slack", "network", "grid", "levels"],
)
def test_ancillas_belong_to_their_row(
    select: qa.ExactlyK, shape: str, minilm: dict[str, np.ndarray]
) -> None:
    compiled = qa.compile(
        -minilm["scores"][:2, :3, :8],
        2,
        select=select,
        objective="sparsemax" if isinstance(select, qa.SoftWeights) else "hard",
        target=None,
        passes=(qa.InsertPenalties(cardinality=shape), qa.BinarizeWeights()),
    )
    row = example_row(compiled.stages)
    assert row is not None
    head, query = row
    for stage, members in zip(compiled.stages, row_members(compiled.stages, *row), strict=True):
        v = stage.program.variables
        assert members.tolist() == np.flatnonzero((v.head == head) & (v.query == query)).tolist()
        c = stage.program.constraints
        kept = part_of(stage.program, members).constraints
        assert len(kept) == ((c.head == head) & (c.query == query)).sum()


def test_no_row_to_show() -> None:
    program = qa.Program.parse("w[0,*,0,0] : 1\nw[0,*,1,0] : 2\n")
    stages = qa.Pipeline((qa.Canonicalize(),)).run(program)
    assert example_row(stages) is None
    assert isinstance(stages[0].lift, Lift)
    check(qa.stages_page(stages))
