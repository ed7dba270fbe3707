"""All machine programmings of a compilation."""

from __future__ import annotations

from qubo_attn.backend.model import Vectors
from qubo_attn.backend.submission import Submission
from qubo_attn.common.brief import Listed


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
