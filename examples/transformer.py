"""A one-layer transformer on a tiny task, with three kinds of attention side by side.

The task is to name the token that stands most often in a sequence. Projections are random and
fixed. The layer's outputs are averaged over the sequence, and only the readout is fitted (ridge
regression), so the three layers differ in attention alone:

* softmax;
* ``output``: each row keeps two keys, selected by annealing, decoded with the residual decoder;
* QAMA v1 (arXiv 2504.11083v1): tokens softly selected by annealing, its own output map.

    python examples/transformer.py
"""

from __future__ import annotations

import numpy as np
from dwave.samplers import SimulatedAnnealingSampler

import qubo_attn as qa

SEQUENCES, TOKENS, KINDS, HEADS, WIDTH = 120, 8, 4, 2, 8


def sequences(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences in which one token stands most often, and that token."""
    rows: list[np.ndarray] = []
    while len(rows) < SEQUENCES:
        tokens = rng.integers(0, KINDS, TOKENS)
        counts = np.sort(np.bincount(tokens, minlength=KINDS))
        if counts[-1] > counts[-2] + 1:
            rows.append(tokens)
    return np.stack(rows), np.array([np.bincount(tokens).argmax() for tokens in rows])


def annealed(scores: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the contexts of rows that keep two keys each."""
    compiled = qa.compile(
        scores,
        len(scores),
        select=qa.ExactlyK(2),
        objective="output",
        values=values,
        target=None,
    )
    context = compiled.solve(seed=1).context
    assert context is not None
    return np.asarray(context)


def qama(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return QAMA's output for each sequence; all arrays (sequences, heads, tokens, width)."""
    outputs, sampler = [], SimulatedAnnealingSampler()
    for q, k, v in zip(query, key, value, strict=True):
        form = qa.qama_program(q, k, v, bits=2).total()
        samples = sampler.sample_qubo(
            dict(zip(zip(form.i.tolist(), form.j.tolist(), strict=True), form.bias, strict=True))
            | {(v, v): bias for v, bias in enumerate(form.linear)},
            num_reads=8,
            num_sweeps=64,
            seed=1,
        )
        order = [samples.variables.index(v) for v in range(len(form.linear))]
        states = samples.record.sample[:, order]
        outputs.append(qa.qama_decode(states, q, k, v, bits=2).output)
    return np.stack(outputs)


def accuracy(outputs: np.ndarray, wanted: np.ndarray) -> float:
    """Fit a readout on two thirds of the sequences; return its accuracy on the rest."""
    pooled = outputs.mean(axis=2).reshape(len(wanted), -1)
    pooled = np.c_[
        (pooled - pooled.mean(axis=0)) / (pooled.std(axis=0) + 1e-9), np.ones(len(pooled))
    ]
    half = 2 * len(wanted) // 3
    x, y = pooled[:half], np.eye(KINDS)[wanted[:half]]
    readout = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)
    return float(((pooled[half:] @ readout).argmax(axis=1) == wanted[half:]).mean())


def main() -> None:
    """Run all three and print their accuracies."""
    rng = np.random.default_rng(7)
    tokens, wanted = sequences(rng)
    embedding = rng.normal(size=(KINDS, WIDTH)) + 0.0
    project = rng.normal(size=(3, HEADS, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    inputs = embedding[tokens] + 0.3 * rng.normal(size=(SEQUENCES, TOKENS, WIDTH))
    query, key, value = (np.einsum("std,hde->shte", inputs, matrix) for matrix in project)
    scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(WIDTH)
    flat = (SEQUENCES * HEADS, TOKENS, -1)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    exact = weights / weights.sum(axis=-1, keepdims=True) @ value
    two_keys = annealed(scores.reshape(flat), value.reshape(flat)).reshape(value.shape)
    gap = np.linalg.norm(two_keys - exact, axis=-1) / np.linalg.norm(exact, axis=-1)
    print(f"output, two of {TOKENS} keys a row: mean relative output error {gap.mean():.3f}")
    print(f"{'attention':<10} accuracy (chance {1 / KINDS:.2f})")
    for name, outputs in (
        ("softmax", exact),
        ("output", two_keys),
        ("qama", qama(query, key, np.abs(value))),
    ):
        print(f"{name:<10} {accuracy(outputs, wanted):.2f}")


if __name__ == "__main__":
    main()
