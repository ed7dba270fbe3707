"""All machine programmings of a compilation."""

from __future__ import annotations

from qubo_attn.backend.model import Vectors
from qubo_attn.backend.submission import Submission
from qubo_attn.common.brief import Listed, scrolling
from qubo_attn.common.words import plural
from qubo_attn.pictures.markup import count, escape, table

# Submissions that a notebook shows.
_LISTED = 20


class Submissions(Listed, tuple[Submission, ...]):
    """The machine programmings of a compilation, in order; a tuple.

    Example:
        >>> import dimod, qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
        >>> linear, quadratic, offset, labels, vartype = compiled.submissions.to_vectors()[0]
        >>> model = dimod.BQM.from_numpy_vectors(linear, quadratic, offset, vartype)
        >>> model == compiled.submissions[0].bqm
        True
    """

    __slots__ = ()

    def to_vectors(self) -> tuple[Vectors, ...]:
        """Return every model as arrays; no object of any other library is made."""
        return tuple(part.to_vectors() for part in self)

    def _repr_html_(self) -> str:
        heads = ("submission", "rows", "variables", "couplers", "qubits", "longest chain")
        rows = [
            [
                str(part.index),
                *(count(len(each)) for each in (part.rows, part.variables, part.bias)),
                *("–" if number is None else count(number) for number in _on_chip(part)),
            ]
            for part in self[:_LISTED]
        ]
        left = len(self) - _LISTED
        more = f"<p>{plural(left, 'more submission')}</p>" if left > 0 else ""
        return f"<p><b>{escape(repr(self))}</b></p>{scrolling(table(heads, rows))}{more}"


def _on_chip(part: Submission) -> tuple[int | None, int | None]:
    """Return how many qubits are in use and how long the longest chain is; None off a machine."""
    return (None, None) if part.physical is None else (part.qubits, part.longest_chain)
