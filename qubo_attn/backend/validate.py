"""Validation: whether a machine would take a submission as it is, checked on the arrays.

Nothing is assumed about how the submission came about. Coefficients are compared with the ranges as
they are, without a tolerance; only sums that must agree may differ by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qubo_attn.backend import rules
from qubo_attn.backend.model import Physical, Vectors
from qubo_attn.common.checks import instance
from qubo_attn.errors import SubmissionError
from qubo_attn.machine.target import Target
from qubo_attn.machine.timing import check_times


def diagnose(
    index: int,
    model: Vectors,
    physical: Physical | None,
    target: Target | None,
    reads: int | None,
    options: Mapping[str, Any],
) -> Iterator[SubmissionError]:
    """Yield everything for which a machine would turn a submission down.

    Args:
        index: number of the submission.
        model, physical: its logical and its physical side.
        target: the machine; the one it was compiled for when None.
        reads: of one call; neither reads nor run time are checked when None.
        options: further solver parameters of the call, e.g. ``annealing_time`` in microseconds.

    Yields:
        Errors with ``code``, ``submission`` and, where it has them, ``qubit``, ``coupler``,
        ``variable``, ``found``, ``limits``.

    Raises:
        InputError: an option is not known, or is no number of at least 0; names it.
    """
    check_times("validate", options)
    if target is not None:
        instance("target", target, Target)
    if physical is None:
        yield SubmissionError(
            f"submission {index} was compiled without a structured target: there is nothing to "
            "submit to a machine",
            code="logical",
            submission=index,
        )
        return
    case = rules.Case(index, model, physical, physical.target if target is None else target)
    if case.target is not physical.target and case.target.topology != physical.target.topology:
        yield case.error(
            "topology", f"it was compiled for {physical.target.label}, not {case.target.label}"
        )
        return
    malformed = list(rules.shapes(case))
    if malformed:
        yield from malformed
        return
    for rule in (
        rules.qubits,
        rules.chains,
        rules.couplers,
        rules.ranges,
        rules.totals,
        rules.carried,
    ):
        yield from rule(case)
    if reads is not None:
        yield from rules.run(case, reads, options)
