"""Whether a machine would take a submission as it is: every rule, checked on the arrays themselves.

Nothing is assumed about how the submission came about. Coefficients are compared with the ranges as
they are, without a tolerance; only sums that must agree may differ by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from qubo_attn.backend import rules
from qubo_attn.errors import SubmissionError
from qubo_attn.machine.target import Target

if TYPE_CHECKING:
    from qubo_attn.backend.submission import Submission


def validate(
    submission: Submission,
    target: Target | None = None,
    reads: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Raise the first violation; see `Submission.validate`."""
    found = list(diagnose(submission, target, reads, options))
    if not found:
        return
    if len(found) > 1:
        found[0].add_note(f"and {len(found) - 1} more violations")
    raise found[0]


def diagnose(
    submission: Submission,
    target: Target | None = None,
    reads: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[SubmissionError]:
    """Yield everything for which a machine would turn a submission down.

    Args:
        submission: what would be submitted.
        target: the machine; the one it was compiled for when None.
        reads: of one call; neither reads nor run time are checked when None.
        options: further solver parameters of the call, e.g. ``annealing_time`` in microseconds.

    Yields:
        Errors with ``code``, ``submission`` and, where it has them, ``qubit``, ``coupler``,
        ``variable``, ``found``, ``limits``.
    """
    physical = submission.physical
    if physical is None:
        yield SubmissionError(
            f"submission {submission.index} was compiled without a structured target: there is "
            "nothing to submit to a machine",
            code="logical",
            submission=submission.index,
        )
        return
    case = rules.Case(submission, physical, target if target is not None else physical.target)
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
        yield from rules.run(case, reads, options or {})
