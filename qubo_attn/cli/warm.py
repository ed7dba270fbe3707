"""``qubo-attn warm``: compile the kernels of the usual paths ahead, as for a container's image."""

from __future__ import annotations

import tempfile
from pathlib import Path

from qubo_attn.cli.console import AsJson, tell
from qubo_attn.cli.progress import progress
from qubo_attn.cli.solve import solution_facts
from qubo_attn.common.compiling import compilations

# What is compiled, small: objective, and whether a query sees the keys up to its own alone.
PATHS = (("output", False), ("output", True), ("selection", True))
HEADS, TOKENS, WIDTH = 2, 20, 4


def warm(as_json: AsJson = False) -> None:
    """Compile the kernels of the usual paths now, so that later commands need not wait."""
    with progress("warming", len(PATHS)) as step, tempfile.TemporaryDirectory() as folder:
        for objective, causal in PATHS:
            step(objective)
            _follow(objective, causal, Path(folder))
    count, seconds = compilations.finished, round(compilations.seconds, 3)
    facts = {"kernels": count, "seconds": seconds}
    tell(as_json, facts, f"kernels compiled: {count}, in {seconds:.0f} s")


def _follow(objective: str, causal: bool, folder: Path) -> None:
    """Compile, write, read, solve, decode and rebind, as the commands do."""
    import numpy as np

    import qubo_attn as qa

    generator = np.random.default_rng(0)
    scores = generator.normal(size=(HEADS, TOKENS, TOKENS))
    if causal:
        scores[:, ~np.tri(TOKENS, dtype=bool)] = -np.inf
    compiled = qa.compile(
        scores,
        HEADS,
        select=qa.ExactlyK(4),
        objective=objective,
        values=generator.normal(size=(HEADS, TOKENS, WIDTH)),
        target="zephyr:12",
        cache=qa.EmbeddingCache(folder / "embeddings"),
    )
    compiled.report(prove=True)
    compiled.save(folder / "compiled")
    compiled.rebind(scores).hardware_arrays()
    read = qa.load(folder / "compiled")
    solution_facts(read, read.solve(seed=1))
    read.report()
