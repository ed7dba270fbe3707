"""All real attention on all real machines; skipped where the shared data set is absent."""

from __future__ import annotations

from pathlib import Path

import dimod
import numpy as np
import pytest
from dwave.embedding import verify_embedding

import qubo_attn as qa
from tests.conftest import shared_files

# A few lengths: rows of equal sizes compile to equal structures; benchmarks/verify.py takes all.
FILES = list(
    {file.stem.split("_n")[-1]: file for file in shared_files("attention/*.npz")}.values()
)[::5]
MACHINES = ["zephyr:12", "pegasus:16", *map(str, shared_files("qpu/*.json"))]


@pytest.mark.data
@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: Path(m).stem)
def test_every_submission_of_every_file_verifies(machine: str, cache: qa.EmbeddingCache) -> None:
    if not FILES:
        pytest.skip("the shared data set is absent")
    target = qa.Target.of(machine)
    assert target is not None
    graph = target.graph()
    verified: set[bytes] = set()
    for file in FILES:
        with np.load(file) as data:
            scores, values = data["scores"], data["value"]
        compiled = qa.compile(
            scores,
            len(scores),
            select=qa.ExactlyK(4),
            objective="output",
            values=values,
            target=target,
            cache=cache,
        )
        assert compiled.submissions
        for part in compiled.submissions:
            assert part.physical is not None
            # Rows of equal sizes share their chains and couplers: one check serves them all.
            shape = part.physical.chain_qubit.tobytes() + part.i.tobytes() + part.j.tobytes()
            if shape in verified:
                continue
            verified.add(shape)
            verify_embedding(part.embedding, dimod.to_networkx_graph(part.bqm), graph)


@pytest.mark.data
@pytest.mark.parametrize("file", FILES[::4], ids=lambda f: f.stem)
def test_the_main_job(file: Path) -> None:
    with np.load(file) as data:
        scores, values = data["scores"], data["value"]
    compiled = qa.compile(
        scores, len(scores), select=qa.ExactlyK(4), objective="output", values=values
    )
    result = compiled.solve("anneal", seed=1)
    assert result.feasible.mean() >= 0.99
    assert compiled.submissions
