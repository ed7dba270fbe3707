"""A trial: attempts with several numbers of keys, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qubo_attn.common.brief import Brief, scrolling
from qubo_attn.errors import InputError
from qubo_attn.pictures.markup import escape, table
from qubo_attn.trial.attempt import Attempt
from qubo_attn.trial.text import cells, columns_of, trial_text, verdict_of

# Figures of an attempt, in the order of a table and of JSON.
_FIGURES = (
    "k", "rows", "same_as_top_k", "proven", "ours", "top_k", "renormalised", "gain", "qubits",
    "programmings", "milliseconds", "feasible", "optimum",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trial(Brief):
    """Attention beside top-k for several numbers of keys; made by `qubo_attn.try_out`.

    Printing it gives a table and the verdict.

    Attributes:
        attempts: one for each number of keys that leaves a choice.
        skipped: numbers of keys that leave none: every row sees so few keys.
        reads: of each programming, for the machine time.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> scores = np.random.default_rng(0).normal(size=(1, 4, 6))
        >>> trial = qa.try_out(scores, k=(2, 3, 6), target=None)
        >>> trial, trial.skipped, trial.of(3).rows
        (Trial(attempts=tuple of 2, skipped=(6,), reads=1000), (6,), 4)
    """

    attempts: tuple[Attempt, ...]
    skipped: tuple[int, ...]
    reads: int

    @property
    def best(self) -> Attempt:
        """The attempt that spares the largest share of the output error of top-k."""
        return max(self.attempts, key=lambda attempt: attempt.gain)

    @property
    def verdict(self) -> str:
        """Whether it pays, in one sentence."""
        return verdict_of(self.attempts, self.best)

    def of(self, k: int) -> Attempt:
        """Return the attempt with some number of keys.

        Raises:
            InputError: there is none.
        """
        for attempt in self.attempts:
            if attempt.k == k:
                return attempt
        known = ", ".join(str(attempt.k) for attempt in self.attempts)
        raise InputError(f"there is no attempt with {k} keys, only with {known}", argument="k")

    def write_html(
        self, path: str | Path, k: int | None = None, *, tokens: Sequence[object] | None = None
    ) -> None:
        """Write the page of `CompiledAttention.html` on one attempt.

        Args:
            path: the file.
            k: its number of keys; the best one's when None.
            tokens: a label for each key.

        Raises:
            InputError: there is no such attempt, more or fewer tokens than keys, or the file cannot
                be written.
        """
        attempt = self.best if k is None else self.of(k)
        attempt.compiled.write_html(path, attempt.result, tokens=tokens, reads=self.reads)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and the verdict as plain data, ready for JSON."""
        figures = [{name: getattr(each, name) for name in _FIGURES} for each in self.attempts]
        return {
            "attempts": figures,
            "skipped": list(self.skipped),
            "reads": self.reads,
            "best": self.best.k,
            "verdict": self.verdict,
        }

    def text(self, width: int | None = None) -> str:
        """Return the figures as text.

        Args:
            width: characters of a line: the table then leaves out columns that do not fit, and
                other lines are broken between words. None for lines as long as they come.
        """
        return trial_text(self.attempts, self.best, self.skipped, self.reads, width)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        heads = columns_of(self.attempts)
        rows = [[escape(cells(attempt)[name]) for name in heads] for attempt in self.attempts]
        return f"{scrolling(table(heads, rows))}<p><b>{escape(self.verdict)}</b></p>"
