"""The beginning of jobs: new ones, and those that an earlier process left."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qubo_attn.backend.sampler_options import check_seed
from qubo_attn.backend.solver_options import check_parts
from qubo_attn.common.checks import instance, number, shown, whole
from qubo_attn.common.files import path_of, read_bytes
from qubo_attn.common.keywords import named, names_of
from qubo_attn.compilation import storage
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.errors import InputError, JobError
from qubo_attn.jobs.book import Book, Settings
from qubo_attn.jobs.job import Job, check_budget
from qubo_attn.jobs.journal import ARTIFACT, Folder, Journal, Memory, check_free
from qubo_attn.jobs.line import lines_of
from qubo_attn.jobs.plain import from_plain, to_plain
from qubo_attn.jobs.plan import Call, Sizes, plan
from qubo_attn.jobs.retry import Retry
from qubo_attn.jobs.samplers import transports_of
from qubo_attn.jobs.state import DONE, FAILED, NEW, SENT, Progress, replayed
from qubo_attn.jobs.transport import Transport
from qubo_attn.jobs.work import Work
from qubo_attn.machine.reads import MOST_READS

# Letters of a label; services take some hundred.
_LONGEST = 200


def submit(
    compilation: Compilation,
    sampler: object,
    *,
    reads: int,
    folder: str | Path | None,
    label: str,
    in_flight: int,
    budget: float | None,
    retry: Retry | None,
    gauges: int,
    seed: int | None,
    options: dict[str, Any],
) -> Job:
    """Begin a job; see `CompiledAttention.submit`."""
    if "num_reads" in options:
        raise InputError("a job takes reads=, not num_reads=", argument="num_reads")
    transports = transports_of(sampler, options, names_of(submit))
    retry = instance("retry", Retry() if retry is None else retry, Retry)
    settings = _settings(_label(label), in_flight, budget, retry)
    sizes = Sizes(
        whole("reads", reads, 1, MOST_READS),
        transports[0].embedded,
        whole("gauges", gauges),
        check_seed(seed),
        options,
    )
    if sizes.embedded:
        placed = [(p.physical, p.source) for p in compilation.submissions if p.physical]
        check_parts(placed, options)
    calls = plan(compilation.submissions, sizes)
    check_budget(calls, settings.budget)
    journal: Journal = Memory()
    if folder is not None:
        journal = _created(
            path_of("folder", folder), compilation, settings, sizes, calls, transports
        )
    book = Book(
        Work(compilation.submissions, options),
        [Progress(call) for call in calls],
        journal,
        settings,
    )
    job = Job(compilation, book, lines_of(transports, retry), sizes)
    job.start()
    return job


@named
def resume(
    folder: str | Path,
    sampler: object = None,
    *,
    in_flight: int | None = None,
    budget: float | None = None,
    retry: Retry | None = None,
    cache: EmbeddingCache | None = None,
) -> Job:
    """Go on with a job where an earlier process left it, or stopped.

    Answers that came are kept. Calls of which nobody knows whether they were taken are looked for
    by their labels, so that none is paid twice; failed ones are tried again.

    Args:
        folder: of the job.
        sampler: as for `CompiledAttention.submit`; without one the job can be looked at and decoded
            with ``result(partial=True)``, and another process may be at work on it.
        in_flight, budget, retry: see `CompiledAttention.submit`; those of the job where None.
        cache: for repairs of embeddings; the default cache when None.

    Raises:
        JobError: there is no job, another process works on it, or its files are damaged.
        InputError: an argument does not fit, or the artifact does not read.

    Example:
        >>> import tempfile
        >>> import qubo_attn as qa
        >>> machine = qa.SimulatedMachine("zephyr:2", seed=1)
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=machine)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     job = compiled.submit(machine, reads=20, folder=f"{folder}/run7", seed=2)
        ...     job.cancel().done
        ...     qa.resume(f"{folder}/run7", machine).result().selected[0, 0]
        0
        array([ True, False, False])
    """
    place = path_of("folder", folder)
    journal = Folder.open(place, read_only=sampler is None)
    try:
        return _resumed(journal, sampler, in_flight, budget, retry, cache)
    except BaseException:
        journal.close()
        raise


def _resumed(
    journal: Folder,
    sampler: object,
    in_flight: int | None,
    budget: float | None,
    retry: Retry | None,
    cache: EmbeddingCache | None,
) -> Job:
    head, place = journal.head, journal.folder
    compilation = storage.load(place / ARTIFACT, cache)
    if _digest(place / ARTIFACT) != head["artifact"]:
        raise JobError(
            f"{place / ARTIFACT} is not what the job began with",
            code="journal",
            file=str(place / ARTIFACT),
        )
    options = from_plain(head["options"])
    transports: list[Transport] = []
    if sampler is not None:
        transports = transports_of(sampler, options)
        if transports[0].embedded != head["embedded"]:
            kind = "a machine" if head["embedded"] else "a solver of logical models"
            raise InputError(f"the job in {place} needs {kind}", argument="sampler")
    own = Retry(**head["retry"])
    settings = _settings(
        head["run"],
        head["in_flight"] if in_flight is None else in_flight,
        head["budget"] if budget is None else budget,
        instance("retry", own if retry is None else retry, Retry),
    )
    sizes = Sizes(head["reads"], head["embedded"], head["gauges"], head["seed"], options)
    work = Work(compilation.submissions, options)
    for event in journal.events:
        if event.get("event") == "placed":
            later = storage.load(place / f"{ARTIFACT}-{event['version']}", cache)
            work.versions.append(tuple(later.submissions))
    progress = replayed([Call(**call) for call in head["calls"]], journal.events)
    check_budget([p.call for p in progress], settings.budget)
    book = Book(work, progress, journal, settings)
    if transports:
        seen = [transport.versions() for transport in transports]
        journal.note([{"event": "opened", "at": _now(), "samplers": seen}])
        _put_right(book, journal)
    lines = lines_of(transports, settings.retry)
    return Job(compilation, book, lines, sizes, journal.was_cut)


def _put_right(book: Book, journal: Folder) -> None:
    """Bring calls and the answers that are kept together, and let failed calls be tried again."""
    for p in book.progress:
        number = p.call.number
        if p.state == DONE and not journal.holds(number, p.file):
            lost = {"reason": "its answer was damaged", "access": None}
            book.note((p, lost | {"state": SENT if p.id else NEW}))
        elif p.state not in (DONE, FAILED) and journal.holds(number, None):
            book.keep([(p, journal.answer(number))])  # the process was killed before it was noted
        elif p.state == FAILED:
            book.note((p, {"state": NEW, "forgiven": p.tries}))


def _created(
    folder: Path,
    compilation: Compilation,
    settings: Settings,
    sizes: Sizes,
    calls: Sequence[Call],
    transports: Sequence[Transport],
) -> Folder:
    """Return the journal of a new job, its artifact beside it."""
    check_free(folder)
    for name, value in sizes.options.items():
        to_plain(name, value)
    storage.save(compilation, folder / ARTIFACT)
    head: Mapping[str, Any] = {
        "run": settings.run,
        "begun": _now(),
        "artifact": _digest(folder / ARTIFACT),
        "embedded": sizes.embedded,
        "reads": sizes.reads,
        "gauges": sizes.gauges,
        "seed": sizes.seed,
        "options": to_plain("options", sizes.options),
        "in_flight": settings.in_flight,
        "budget": settings.budget,
        "retry": {n: getattr(settings.retry, n) for n in ("tries", "pause", "longest")},
        "samplers": [transport.versions() for transport in transports],
        "calls": [dataclasses.asdict(call) for call in calls],
    }
    return Folder.create(folder, head)


def _settings(run: str, in_flight: int, budget: float | None, retry: Retry) -> Settings:
    if budget is not None:
        budget = number("budget", budget, 0)
    return Settings(run, whole("in_flight", in_flight, 1), budget, retry)


def _label(label: object) -> str:
    """Return the name of a run: the label, and letters that no other run has."""
    if not isinstance(label, str) or not 0 < len(label) <= _LONGEST or "/" in label:
        raise InputError(
            f"label must be a text of 1 to {_LONGEST} letters without a slash, not {shown(label)}",
            argument="label",
        )
    return f"{label}-{secrets.token_hex(4)}"


def _digest(artifact: Path) -> str:
    """Return the checksum that an artifact states of itself."""
    return str(json.loads(read_bytes(artifact / storage.FACTS))["digest"])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
