"""The verb that begins a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qubo_attn.compilation.compilation import Compilation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dimod

    from qubo_attn.jobs.job import Job
    from qubo_attn.jobs.retry import Retry


class Submits(Compilation):
    """A compilation that can be submitted; see `qubo_attn.compiled.CompiledAttention`."""

    def submit(
        self,
        sampler: dimod.Sampler | Sequence[dimod.Sampler],
        *,
        reads: int = 1000,
        folder: str | Path | None = None,
        label: str = "qubo-attn",
        in_flight: int = 40,
        budget: float | None = None,
        retry: Retry | None = None,
        gauges: int = 0,
        seed: int | None = None,
        **options: object,
    ) -> Job:
        """Begin a job: many calls under way at once, tried again where it helps, kept in a folder.

        Calls are sent and answers collected while somebody waits for them, in `Job.as_completed` or
        `Job.result`; a first wave leaves at once, unless the sampler computes while it is called.
        docs/submit_qpu.md says more.

        Args:
            sampler: any dimod sampler, as for `solve`; or a list of them, which pull calls from one
                queue: all of them machines, or none.
            reads: of each submission; split over calls where one may not take them all.
            folder: where everything is kept, so that `qubo_attn.resume` goes on with the job in
                another process; nowhere when None.
            label: what the labels of its problems begin with; letters of its own follow.
            in_flight: most calls under way at each sampler.
            budget: seconds of machine time that its calls may take together, as estimated, and as
                stated once they are answered; the job stops before the first call that does not
                fit. Any when None.
            retry: how often what fails is tried again; ``Retry()`` when None.
            gauges: spin reversals that the reads of a machine are spread over; none when 0.
            seed: of a sampler that takes one, plus the submission's number.
            **options: further keywords of the sampler, e.g. ``annealing_time=50``.

        Raises:
            InputError: an argument does not fit, or the folder holds a job already.
            SubmissionError: the sampler is a machine, and this was compiled for none.
            JobError: the service turned a call of the first wave down, or does not answer.

        Example:
            >>> import qubo_attn as qa
            >>> machine = qa.SimulatedMachine("zephyr:2", seed=1)
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=machine)
            >>> job = compiled.submit(machine, reads=20, seed=2)
            >>> [call.submission for call in job.as_completed()]
            [0]
            >>> job.result().machine.programmings
            1
        """
        from qubo_attn.jobs.start import submit

        return submit(
            self,
            sampler,
            reads=reads,
            folder=folder,
            label=label,
            in_flight=in_flight,
            budget=budget,
            retry=retry,
            gauges=gauges,
            seed=seed,
            options=options,
        )
