"""Samplers as submissions meet them: which model each takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from qubo_attn.backend import rules
from qubo_attn.backend.submission import Submission
from qubo_attn.errors import SubmissionError
from qubo_attn.machine.sampler import machine_behind
from qubo_attn.machine.target import Target


def takes_embedded(sampler: object, submissions: Sequence[Submission]) -> bool:
    """Return whether a sampler takes embedded models, of the machine as it is today.

    Asked before the first of them is sent: a machine never gets a logical model.

    Args:
        sampler: any dimod sampler.
        submissions: what it is to take.

    Raises:
        SubmissionError: it is a machine, and a submission was compiled for none, or uses a qubit or
            coupler that the machine no longer has; names it.
    """
    machine = machine_behind(sampler)
    if machine is None:
        return False
    today, name = Target.from_sampler(machine), type(machine).__name__
    for part in submissions:
        if part.physical is None:
            raise SubmissionError(
                f"submission {part.index} was compiled without a structured target, and {name} is "
                "a machine: compile with target=sampler, or put an EmbeddingComposite around it",
                code="logical",
                submission=part.index,
            )
        target = part.physical.target
        if today.hash == target.hash and today.names == target.names:
            continue
        case = rules.Case(part.index, part.to_vectors(), part.physical, today)
        for error in chain(rules.qubits(case), rules.couplers(case)):
            raise error
    return True
