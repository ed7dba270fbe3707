"""Artifacts load again, over all objectives, selections, passes, ties and targets."""

from __future__ import annotations

import json
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app
from tests.conftest import ROOT

OBJECTIVES = (
    "selection",
    "redundancy",
    "output",
    "hard",
    "boltzmann",
    "sparsemax",
    "least_squares",
)
SELECTS: tuple[Any, ...] = (
    qa.OneHot(),
    qa.ExactlyK(2),
    qa.AtMostK(2),
    qa.SoftWeights(3),
    qa.SoftWeights(3, k=2),
    qa.Unconstrained(),
    qa.Budget(4),
    qa.Budget(6, over="all"),
)
PASSES: tuple[Any, ...] = (
    "default",
    "default,quantize{bits=8}",
    "canonicalize,sparsify{slots=4, nucleus=0.9, sizes=(2, 4)},drop-couplers{budget=0.1},"
    "compress{bits=7},insert-penalties{linear=True},binarize-weights",
    "insert-penalties{cardinality=network},binarize-weights",
    "insert-penalties{cardinality=grid},binarize-weights",
    "insert-penalties{at_most=unbalanced},binarize-weights",
    "insert-penalties{at_most=binary},binarize-weights",
    (),
)
TIES = (
    None,
    qa.TieVariables(((0, 1),)),
    qa.TieVariables(((0, 1),), queries=True),
    qa.TieVariables(overlap=0.3),
    qa.TieVariables(((0, 1),), strength=0.5),
)
TARGETS = (None, "zephyr:2", "all-to-all")
SHAPES = ("rows", "causal", "pairs")


def outcome(compiled: qa.CompiledAttention) -> list[bytes] | str:
    """Return what sampling gives; what cannot be sampled says why."""
    try:
        result = compiled.solve("anneal", seed=1, num_reads=5)
    except qa.QuboAttnError as error:
        return f"{type(error).__name__}: {error}"
    return [array.tobytes() for array in (result.weights, result.selected, result.energies)]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_was_saved_is_what_loads(
    objective: str, tmp_path: Path, cache: qa.EmbeddingCache
) -> None:
    """Some draws of passes, ties, targets and shapes for every selection, all in turn."""
    # These two go with soft weights alone.
    draws = 12 if objective in ("sparsemax", "least_squares") else 3
    generator = np.random.default_rng(OBJECTIVES.index(objective))
    turn, tried = count(OBJECTIVES.index(objective)), 0
    for select, _ in product(SELECTS, range(draws)):
        number = next(turn)
        shape = SHAPES[number % 3]
        size = {"rows": (2, 2, 5), "causal": (2, 4, 4), "pairs": (2, 1, 2)}[shape]
        try:
            compiled = qa.compile(
                generator.normal(size=size),
                2,
                select=select,
                objective=objective,
                values=generator.normal(size=(2, size[2], 3)),
                keys=generator.normal(size=(2, size[2], 3)),
                mask=np.tri(4, dtype=bool) if shape == "causal" else None,
                passes=PASSES[number % len(PASSES)],
                tie=TIES[number % len(TIES)],
                target=TARGETS[number // 3 % 3],
                cache=cache,
            )
        except qa.QuboAttnError:  # choices that do not go together
            continue
        compiled.save(tmp_path / "first")
        loaded = qa.load(tmp_path / "first", cache)
        loaded.save(tmp_path / "again")
        for file in ("artifact.json", "arrays.npz"):
            assert (tmp_path / "first" / file).read_bytes() == (
                tmp_path / "again" / file
            ).read_bytes()
        assert outcome(loaded) == outcome(compiled)
        tried += 1
    assert tried >= 6


def test_hard_attention_of_a_causal_file_on_the_command_line(tmp_path: Path) -> None:
    file = ROOT / "fixtures" / "attention" / "smollm2-causal_d06_L14_n19.npz"
    out = str(tmp_path / "out")
    choices = ["--select", "one-hot", "--objective", "hard", "--target", "none", "-o", out]
    made = CliRunner().invoke(app, ["compile", str(file), *choices])
    assert made.exit_code == 0, made.output
    with np.load(file) as arrays:
        scores = arrays["scores"]
    best = np.where(np.tri(19, dtype=bool), scores, -np.inf).argmax(axis=-1)
    selected = qa.load(out).solve("anneal", seed=1).selected
    assert selected.sum() == 9 * 19
    assert (selected.argmax(axis=-1) == best).all()
    solved = CliRunner().invoke(app, ["solve", out, "--json"])
    assert json.loads(solved.output)["feasible"] == 1
