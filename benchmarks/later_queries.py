"""Keys of a cache, chosen on past queries and judged on later ones.

The first three quarters of a context are past. Every key/value head keeps a share of their keys,
one set for all of its query heads. The first keys and the latest ones stay in any case. The later
queries then see what was kept and all that came after it, as they would with a real cache, which
renormalises: it has neither logits nor values of the keys that it dropped.

Baselines look at all past queries, or at the latest ones (`window`). `output` and `renormalised`
look at the latest ones alone: ``compile(queries=)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import qubo_attn as qa

PAST = 0.75
SHARES = (0.125, 0.25, 0.5)
FIRST, LATEST = 4, 32
WINDOW = 32
BASELINES = ("first-and-latest", "heavy-hitters", "accumulated", "mean-mass", "window")
OBJECTIVES = ("output", "renormalised")


class Context(NamedTuple):
    """A causal context of many tokens.

    Attributes:
        scores: logits, shape (heads, tokens, tokens), -inf where masked.
        values: shape (heads, tokens, d).
        kv_head: key/value head of each head.
    """

    scores: np.ndarray
    values: np.ndarray
    kv_head: np.ndarray

    @classmethod
    def read(cls, file: Path) -> Context:
        """Read queries, keys and values of a file."""
        with np.load(file) as data:
            owner, scale = data["kv_head"], float(data["scaling"])
            query, key, value = (data[name].astype(float) for name in ("query", "key", "value"))
        scores = scale * (query @ key[owner].transpose(0, 2, 1))
        seen = np.tri(scores.shape[1], dtype=bool)
        return cls(np.where(seen, scores, -np.inf), value[owner], owner)

    @property
    def past(self) -> int:
        """Number of past tokens."""
        return int(PAST * self.scores.shape[1])

    @property
    def tie(self) -> qa.TieVariables:
        """One set of keys for all queries of the heads of a key/value head."""
        return qa.TieVariables.from_kv_head(self.kv_head, queries=True)

    def compile(
        self, keep: int, objective: str, window: int | None, **options: Any
    ) -> qa.CompiledAttention:
        """Compile the choice of ``keep`` past keys for each key/value head; for no machine."""
        past = self.past
        tokens = np.arange(past)
        stays = (tokens < FIRST) | (tokens >= past - LATEST)
        return qa.compile(
            self.scores[:, :past, :past],
            select=qa.Budget(keep),
            objective=objective,
            values=self.values[:, :past],
            required=stays & np.tri(past, dtype=bool),
            queries=window,
            **({"target": None, "tie": self.tie} | options),
        )

    def later_errors(self, kept: np.ndarray) -> np.ndarray:
        """Return the relative error of every later query.

        Args:
            kept: past keys that each head keeps, shape (heads, past).
        """
        stays = np.ones((len(kept), self.scores.shape[2]), bool)
        stays[:, : self.past] = kept
        scores = self.scores[:, self.past :]
        exact, ours = (
            _softmax(np.where(seen, scores, -np.inf)) @ self.values
            for seen in (True, stays[:, None])
        )
        gap = np.linalg.norm(ours - exact, axis=-1)
        return np.asarray(gap / np.linalg.norm(exact, axis=-1))


def _softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def selections(
    context: Context, keep: int, window: int, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every way to choose, and the keys that each head keeps by it."""
    # Baselines take counts, ties and required keys of a compilation, whatever it minimises.
    whole = context.compile(keep, "hard", None)
    for name in BASELINES:
        yield name, np.asarray(qa.baseline(name, whole, window=window).any(axis=1))
    for objective in OBJECTIVES:
        result = context.compile(keep, objective, window).solve(seed=seed)
        yield objective, np.asarray(result.selected.any(axis=1))


def later(
    files: Sequence[Path], shares: Sequence[float] = SHARES, window: int = WINDOW, seed: int = 1
) -> dict[str, Any]:
    """Return mean errors on later queries, by file, share of the past keys, and way to choose."""
    facts: dict[str, Any] = {}
    for file in files:
        context = Context.read(file)
        by_share = facts.setdefault(file.stem, {})
        for share in shares:
            keep = int(share * context.past)
            by_share[f"{share:g}"] = {
                name: float(context.later_errors(kept).mean())
                for name, kept in selections(context, keep, window, seed)
            }
    return facts


def _cell(name: str, means: dict[str, float]) -> str:
    figures = {each: f"{mean:.3f}" for each, mean in means.items()}
    best = figures[name] == min(figures.values())
    return f"**{figures[name]}**" if best else figures[name]


def table(facts: dict[str, Any]) -> str:
    """Return errors as a table: one column a file, one figure a share; the least ones bold."""
    lines = ["| | " + " | ".join(facts) + " |", "|---" * (len(facts) + 1) + "|"]
    for name in (*BASELINES, *OBJECTIVES):
        cells = [
            " / ".join(_cell(name, means) for means in by_share.values())
            for by_share in facts.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
