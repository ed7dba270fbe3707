"""``qubo-attn submit`` and ``qubo-attn job``: compiled folders on their way through a machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qubo_attn.cli.console import AsJson, choice, ending, tell
from qubo_attn.cli.labels import keep_tokens, kept_tokens
from qubo_attn.cli.machines import STAND_INS, Source, opened
from qubo_attn.cli.progress import progress
from qubo_attn.cli.solve import Folder, solution_facts, write_result
from qubo_attn.cli.summary import solved_lines
from qubo_attn.common.vocabulary import DECODERS
from qubo_attn.common.words import plural

if TYPE_CHECKING:
    from qubo_attn.jobs.job import Job

job_app = typer.Typer(help="Look after jobs that `submit` began.", no_args_is_help=True)

# What a shell says of a program that Ctrl-C ended.
INTERRUPTED = 130
_HOUR = 3600.0

Directory = Annotated[Path, typer.Argument(help="The folder of the job.")]
Machine = Annotated[
    str | None,
    choice(STAND_INS, "A stand-in for the machine compiled for ({}), where there is no account."),
]
Profile = Annotated[str | None, typer.Option(help="Of the D-Wave client's configuration file.")]
Solver = Annotated[str | None, typer.Option(help="Name of the solver. [default: the profile's]")]


def submit(
    folder: Folder,
    job: Annotated[Path, typer.Option(help="The folder to keep the job in.")],
    profile: Profile = None,
    solver: Solver = None,
    machine: Machine = None,
    reads: Annotated[int, typer.Option(help="Reads per submission.")] = 1000,
    annealing_time: Annotated[
        float | None, typer.Option(help="Microseconds. [default: the machine's own]")
    ] = None,
    label: Annotated[str, typer.Option(help="What the labels of its problems begin with.")] = (
        "qubo-attn"
    ),
    in_flight: Annotated[int, typer.Option(help="Most calls under way at once.")] = 40,
    budget: Annotated[
        float | None, typer.Option(help="Seconds of machine time that it may take.")
    ] = None,
    gauges: Annotated[int, typer.Option(help="Spin reversals to spread the reads over.")] = 0,
    price: Annotated[
        float | None, typer.Option(help="Of an hour of machine time, to show the cost.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print calls, time and cost; send nothing.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Send a first wave and leave; `job resume` goes on.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Sample a compiled folder by a machine, many calls at once, and keep everything in a folder.

    Ctrl-C, a lost connection or a used budget lose nothing: `qubo-attn job resume` goes on.
    """
    import qubo_attn as qa
    from qubo_attn.jobs.journal import check_free

    compiled = qa.load(folder)
    times: dict[str, Any] = {} if annealing_time is None else {"annealing_time": annealing_time}
    if dry_run:
        facts = plan_facts(compiled.schedule(reads, **times), price)
        tell(as_json, facts, plan_text(facts))
        return
    check_free(job)
    source = Source(machine, profile, solver)
    with interrupts(), opened(source, compiled.recipe.target) as sampler:
        source.write(job)
        begun = compiled.submit(
            sampler,
            reads=reads,
            folder=job,
            label=label,
            in_flight=in_flight,
            budget=budget,
            gauges=gauges,
            **times,
        )
        keep_tokens(job, kept_tokens(folder, compiled.attention.shape[-1]))
        if not detach:
            _go_on(begun, sending=True)
        _tell(begun, as_json)


@job_app.command("status")
def status(job: Directory, as_json: AsJson = False) -> None:
    """Print how the calls of a job stand, as its folder says."""
    import qubo_attn as qa

    _tell(qa.resume(job), as_json)


@job_app.command("resume")
def resume(
    job: Directory,
    profile: Profile = None,
    solver: Solver = None,
    machine: Machine = None,
    in_flight: Annotated[int | None, typer.Option(help="Most calls under way at once.")] = None,
    budget: Annotated[
        float | None, typer.Option(help="Seconds of machine time that it may take, in all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a job until every call is answered."""
    given = {"machine": machine, "profile": profile, "solver": solver}
    with _resumed(job, given, in_flight=in_flight, budget=budget) as going:
        _go_on(going, sending=True)
        _tell(going, as_json)


@job_app.command("wait")
def wait(job: Directory, as_json: AsJson = False) -> None:
    """Wait for the calls that are under way, and send no other."""
    with _resumed(job, {}) as going:
        _go_on(going, sending=False)
        _tell(going, as_json)


@job_app.command("cancel")
def cancel(job: Directory, as_json: AsJson = False) -> None:
    """Cancel the calls that no machine has begun; `job resume` sends them again."""
    with _resumed(job, {}) as going:
        going.cancel()
        _tell(going, as_json)


@job_app.command("decode")
def decode(
    job: Directory,
    decoder: Annotated[str | None, choice(DECODERS, "{}. [default: the objective's own]")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write selected, weights, context to .npz.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write the .html page, with a section on the job.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decode the answers there are; rows without one are marked, and select nothing."""
    import qubo_attn as qa
    from qubo_attn.common.files import path_of
    from qubo_attn.compiled import CompiledAttention

    page = None if report is None else ending("--report", path_of("--report", report), ".html")
    going = qa.resume(job)
    result = going.result(partial=True, decoder=decoder)
    if out is not None:
        write_result(out, result)
    use = result.machine
    assert use is not None
    of_job = CompiledAttention.of(going.compilation)
    if page is not None:
        of_job.write_html(page, result, tokens=kept_tokens(job, of_job.attention.shape[-1]))
    facts = solution_facts(of_job, result)
    facts |= {"answered": int(result.answered.sum()), "access": use.access, "ids": use.ids}
    facts["report"] = None if page is None else str(page)
    wrote = [] if page is None else [f"wrote {page}"]
    tell(as_json, facts, "\n".join([*solved_lines(of_job, result, facts), *wrote]))


def plan_facts(plan: Any, price: float | None) -> dict[str, Any]:
    """Return calls, machine time and cost of a schedule."""
    time = plan.microseconds
    seconds = None if time is None else time / 1e6
    cost = None if price is None or seconds is None else price * seconds / _HOUR
    calls = [
        {"submission": c.submission, "reads": c.reads, "microseconds": c.microseconds}
        for c in plan.calls
    ]
    return {"calls": calls, "seconds": seconds, "stated": plan.stated, "cost": cost}


def plan_text(facts: dict[str, Any]) -> str:
    """Return the same for a reader."""
    most = max(call["reads"] for call in facts["calls"])
    lines = [f"{plural(len(facts['calls']), 'call')} of {most} reads"]
    if facts["seconds"] is None:
        return f"{lines[0]}; no timing of the machine is known"
    source = "as the machine states" if facts["stated"] else "as machines of its family take"
    lines.append(f"{facts['seconds']:.3f} s of machine time, {source}")
    if facts["cost"] is not None:
        lines.append(f"cost {facts['cost']:.2f}")
    return "\n".join(lines)


@contextmanager
def interrupts() -> Iterator[None]:
    """Turn Ctrl-C into a message that says how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        for note in getattr(error, "__notes__", ["interrupted"]):
            typer.secho(note, err=True)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _resumed(folder: Path, given: dict[str, str | None], **how: Any) -> Iterator[Job]:
    """Open the sampler of a job, and the job with it."""
    import qubo_attn as qa

    look = qa.resume(folder)  # says what is wrong with the folder before a machine is asked
    source = Source.read(folder, **given)
    with interrupts(), opened(source, look.compilation.recipe.target) as sampler:
        if any(given.values()):
            source.write(folder)
        yield qa.resume(folder, sampler, **how)


def _go_on(job: Job, *, sending: bool) -> None:
    """Go on with a job, a bar beside it; Ctrl-C cancels what no machine has begun."""
    try:
        status = job.status()
        steps = status.sent + (status.new if sending else 0)
        with progress(f"job {job.label}", steps) as step:
            for call in job.as_completed(sending=sending):
                step(f"call {call.number}, submission {call.submission}")
    except KeyboardInterrupt as error:
        if not hasattr(error, "__notes__"):  # it did not come while the job was at work
            job.cancel()
            error.add_note(job.how_to_go_on)
        raise


def _tell(job: Job, as_json: bool) -> None:
    status = job.status()
    facts = {"folder": str(job.folder), "label": job.label, **status.to_dict()}
    tell(as_json, facts, str(job))
