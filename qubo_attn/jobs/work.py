"""Work: what the calls of a job sample, over all working graphs that it has met.

Where a machine lost a qubit or coupler in use, the program is placed anew on the machine of today:
the embedding cache mends what the loss touched. That is another version of the same submissions;
calls that nobody can take any more are replaced by calls of it, all others stay as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import chain

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend import rules
from qubo_attn.backend.gauges import draw_gauge
from qubo_attn.backend.submission import Submission
from qubo_attn.common.arrays import Array
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.errors import SubmissionError
from qubo_attn.jobs.plan import Call
from qubo_attn.jobs.transport import Request
from qubo_attn.machine.target import Target
from qubo_attn.pipeline.pipeline import Pipeline


class Work:
    """Submissions by version and number, and the requests made of them.

    Args:
        submissions: what was handed in, version 0.
        options: further keywords of the sampler.
    """

    def __init__(self, submissions: Sequence[Submission], options: dict[str, object]) -> None:
        self.versions = [tuple(submissions)]
        self.options = options
        self._fits: dict[tuple[str, int, int], SubmissionError | None] = {}

    def submission(self, call: Call) -> Submission:
        """Return what a call samples."""
        return self.versions[call.version][call.submission]

    def sign(self, call: Call) -> Array | None:
        """Return the gauge of a call; None without gauges."""
        part = self.submission(call)
        if call.gauge is None or part.physical is None:
            return None
        component = kernels.connected_components(len(part.variables), part.i, part.j)
        return draw_gauge(part.physical, component, call.gauge)

    def request(self, call: Call, label: str) -> Request:
        """Return a call as it is sent."""
        return Request(
            call.number,
            label,
            self.submission(call),
            call.reads,
            self.options,
            self.sign(call),
            call.seed,
            call.programming,
        )

    def misfit(self, call: Call, target: Target, name: str) -> SubmissionError | None:
        """Return why a machine cannot take a call; None where it can.

        Args:
            call: the call.
            target: the machine as it is now.
            name: of its sampler, for the message.
        """
        key = target.hash, call.version, call.submission
        if key not in self._fits:
            self._fits[key] = misfit(self.submission(call), target, name)
        return self._fits[key]


def misfit(part: Submission, target: Target, name: str) -> SubmissionError | None:
    """Return why a machine cannot take a submission; None where it can."""
    if part.physical is None:
        return SubmissionError(
            f"submission {part.index} was compiled without a structured target, and {name} is "
            "a machine: compile with target=sampler, or put an EmbeddingComposite around it",
            code="logical",
            submission=part.index,
        )
    placed = part.physical.target
    if target.hash == placed.hash and target.names == placed.names:
        return None
    case = rules.Case(part.index, part.to_vectors(), part.physical, target)
    return next(chain(rules.qubits(case), rules.couplers(case)), None)


def placed_on(compilation: Compilation, target: Target) -> Compilation:
    """Return a compilation placed on the machine of today; no pass but the embedding runs again.

    It has no copies: reads of repaired submissions go beside those that there are, row by row.

    Raises:
        EmbeddingError: a row does not fit any more.
    """
    recipe, embed = compilation.recipe, compilation.recipe.embed
    assert embed is not None
    embed = dataclasses.replace(embed, target=target)
    stages = compilation.stages
    (stage,) = Pipeline((embed,)).run(stages[-2].program)
    recipe = dataclasses.replace(recipe, target=target, embed=embed)
    return Compilation(compilation.attention, recipe, (*stages[:-1], stage))


def touched(part: Submission, submissions: Sequence[Submission]) -> list[Submission]:
    """Return the submissions that carry a variable of another version's submission."""
    return [other for other in submissions if np.isin(other.variables, part.variables).any()]
