"""What a result took of a machine."""

from __future__ import annotations

from dataclasses import dataclass

from qubo_attn.common.brief import Brief


@dataclass(frozen=True)
class MachineUse(Brief):
    """What a sampler was asked for, and the machine time that it took.

    Attributes:
        ids: of the problems, in the order of their calls.
        access: seconds of machine time, of all tries; None where no call states any.
        queue: seconds in the queue, of all calls; None where no call states any.
        programmings: calls that were answered.
        graph_ids: of the working graphs that were programmed, each once.
        solvers: that answered, each once.

    Example:
        >>> import qubo_attn as qa
        >>> machine = qa.SimulatedMachine("zephyr:2", seed=1)
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=machine)
        >>> use = compiled.solve(machine, num_reads=20).machine
        >>> use.programmings, use.solvers, round(use.access, 3)
        (1, ('SimulatedMachine',), 0.037)
    """

    ids: tuple[str, ...]
    access: float | None
    queue: float | None
    programmings: int
    graph_ids: tuple[str, ...]
    solvers: tuple[str, ...]

    def __str__(self) -> str:
        calls = f"{self.programmings} call{'s' * (self.programmings != 1)}"
        time = "" if self.access is None else f", {1000 * self.access:.1f} ms of machine time"
        return f"{calls} of {', '.join(self.solvers) or 'no sampler'}{time}"
