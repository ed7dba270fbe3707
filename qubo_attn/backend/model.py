"""All submissions of a compilation, and what they hold as plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from qubo_attn.backend.submission import Submission
    from qubo_attn.common.arrays import Array, Floats, Longs


class Vectors(NamedTuple):
    """A binary quadratic model in arrays, as ``dimod.BQM.from_numpy_vectors`` takes them.

    Attributes:
        linear: float64, shape (n,), one bias per variable.
        quadratic: both ends of each coupler, integers that count variables from 0, and float64
            biases; each of shape (couplers,).
        offset: the constant.
        labels: int64, shape (n,), ids of the variables in ``compiled.program``.
        vartype: ``"SPIN"`` or ``"BINARY"``.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
        >>> compiled.submissions[0].to_vectors().vartype
        'BINARY'
    """

    linear: Floats
    quadratic: tuple[Array, Array, Floats]
    offset: float
    labels: Longs
    vartype: str


class Submissions(tuple["Submission", ...]):
    """The machine programmings of a compilation, in order; a tuple.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
        >>> compiled.submissions.to_vectors()[0].labels
        array([0, 1, 2])
    """

    __slots__ = ()

    def to_vectors(self) -> tuple[Vectors, ...]:
        """Return every model as arrays; no object of any other library is made.

        Example:
            >>> import dimod, qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
            >>> linear, quadratic, offset, labels, vartype = compiled.submissions.to_vectors()[0]
            >>> model = dimod.BQM.from_numpy_vectors(linear, quadratic, offset, vartype)
            >>> model == compiled.submissions[0].bqm
            True
        """
        return tuple(part.to_vectors() for part in self)
