"""Journals: what a job has done, in memory or in a folder that outlives the process.

The folder holds plain files: ``job.json`` (what was to be done, written once), ``journal.jsonl``
(one event a line, each with a checksum), ``answers/`` (one npz for each answer, as it came) and the
artifact. An event is on the disk before the job goes on; a line that a killed process left half
written is cut off.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from qubo_attn._version import __version__
from qubo_attn.common.files import read_bytes, reason_of, write_file, write_files, writing
from qubo_attn.common.npz import unpacked
from qubo_attn.errors import InputError, JobError
from qubo_attn.jobs.transport import Answer

# 1: the first.
FORMAT = 1
HEAD, EVENTS, ANSWERS, ARTIFACT = "job.json", "journal.jsonl", "answers", "artifact"
_CHECK = 16  # letters of a checksum


class Journal(Protocol):
    """Where a job keeps what it has done.

    Attributes:
        place: how messages call it; empty where nothing outlives the process.
    """

    place: str

    def note(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Keep some events, all of them before it returns."""

    def keep(self, answers: Mapping[int, Answer]) -> dict[int, str]:
        """Keep answers by the numbers of their calls; return their checksums."""

    def answer(self, call: int) -> Answer:
        """Return the answer of a call that is done."""


class Memory:
    """A journal that ends with its process."""

    place = ""

    def __init__(self) -> None:
        self._answers: dict[int, Answer] = {}

    def note(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Do nothing: nobody will read them."""

    def keep(self, answers: Mapping[int, Answer]) -> dict[int, str]:
        """Keep answers by the numbers of their calls."""
        self._answers.update(answers)
        return dict.fromkeys(answers, "")

    def answer(self, call: int) -> Answer:
        """Return the answer of a call that is done."""
        return self._answers[call]


class Folder:
    """A journal in a folder; make one with `create` or `open`.

    Attributes:
        head: what ``job.json`` holds.
        events: what the journal held when it was opened.
        was_cut: whether its last line was half written, or damaged.
    """

    was_cut = False

    def __init__(self, folder: Path, head: dict[str, Any], events: list[dict[str, Any]]) -> None:
        self.folder, self.head, self.events = folder, head, events
        self.place = str(folder)
        self._stream: BinaryIO | None = None

    @classmethod
    def create(cls, folder: Path, head: Mapping[str, Any]) -> Folder:
        """Return the journal of a new job.

        Args:
            folder: holds the artifact already, and no job.
            head: what is to be done, as JSON holds it.

        Raises:
            InputError: the folder holds a job, or cannot be written to.
        """
        check_free(folder)
        facts = json.loads(json.dumps({"format": FORMAT, "version": __version__, **head}))
        text = json.dumps(facts | {"digest": _digest(facts)}, indent=1, sort_keys=True) + "\n"
        with writing(folder):
            (folder / ANSWERS).mkdir(parents=True, exist_ok=True)
            write_file(folder / EVENTS, b"")
            write_file(folder / HEAD, text.encode())  # last: from here on it is a job
        journal = cls(folder, facts, [])
        journal._lock()
        return journal

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> Folder:
        """Return the journal of a job that was begun.

        Args:
            folder: of the job.
            read_only: nothing is written, and another process may be at work on it.

        Raises:
            JobError: the folder holds no job, one that a newer version wrote, or a damaged one; or
                another process works on it.
        """
        journal = cls(folder, _head_of(folder), [])
        if not read_only:
            journal._lock()
        journal.events, whole = _events_of(folder)
        journal.was_cut = whole < (folder / EVENTS).stat().st_size
        if not read_only:
            journal._cut(whole)
        return journal

    def note(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Keep some events: they are on the disk when this returns.

        Raises:
            InputError: the disk takes no more.
        """
        if not events:
            return
        assert self._stream is not None, "it was opened to be read alone"
        with writing(self.folder / EVENTS):
            self._stream.write(b"".join(map(_line, events)))
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def keep(self, answers: Mapping[int, Answer]) -> dict[int, str]:
        """Keep answers by the numbers of their calls, as they came; return their checksums.

        Raises:
            InputError: the disk takes no more.
        """
        packed = {call: _packed(answer) for call, answer in answers.items()}
        with writing(self.folder / ANSWERS):
            write_files({self._file(call): data for call, data in packed.items()})
        return {call: hashlib.sha256(data).hexdigest() for call, data in packed.items()}

    def answer(self, call: int) -> Answer:
        """Return the answer of a call that is done.

        Raises:
            JobError: its file is gone or damaged; names it.
        """
        return _unpacked(self._file(call))

    def holds(self, call: int, digest: str | None) -> bool:
        """Return whether the answer of a call is there, and whole.

        Args:
            call: its number.
            digest: the checksum that was noted; None where the process was killed before it was.
        """
        try:
            if digest is not None:
                return hashlib.sha256(read_bytes(self._file(call))).hexdigest() == digest
            self.answer(call)
        except (OSError, JobError):
            return False
        return True

    def close(self) -> None:
        """Let another process go on with the job."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __del__(self) -> None:
        self.close()

    def _file(self, call: int) -> Path:
        return self.folder / ANSWERS / f"{call:05d}.npz"

    def _lock(self) -> None:
        """Open the events to add to them; no other process may, as long as this one lives."""
        with writing(self.folder / EVENTS):
            self._stream = (self.folder / EVENTS).open("ab")
        try:
            import fcntl
        except ImportError:  # another system: the user takes care
            return
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise JobError(
                f"another process works on the job in {self.folder}",
                code="busy",
                folder=str(self.folder),
            ) from None

    def _cut(self, whole: int) -> None:
        """Cut off what a killed process left after the last whole line."""
        assert self._stream is not None
        with writing(self.folder / EVENTS):
            self._stream.truncate(whole)
            os.fsync(self._stream.fileno())


def check_free(folder: Path) -> None:
    """Check that a folder holds no job yet.

    Raises:
        InputError: it does, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder", folder=str(folder))
    if (folder / HEAD).exists():
        raise InputError(
            f"{folder} holds a job already: qa.resume or `qubo-attn job resume` goes on with it; a "
            "new one needs a folder of its own",
            folder=str(folder),
        )


# -- lines -----------------------------------------------------------------------------------------


def _line(event: Mapping[str, Any]) -> bytes:
    checked = {**event, "check": _digest(event)[:_CHECK]}
    return json.dumps(checked, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _digest(facts: Mapping[str, Any]) -> str:
    """Return the checksum of facts, however their text is laid out."""
    plain = {name: entry for name, entry in facts.items() if name not in ("digest", "check")}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _head_of(folder: Path) -> dict[str, Any]:
    file = folder / HEAD
    try:
        head = json.loads(read_bytes(file))
        form = head["format"]
    except OSError as error:
        what = f"there is no job: {reason_of(error)}"
        if isinstance(error, FileNotFoundError):
            what = "there is no job; name the folder that submit --job wrote"
        raise _bad(folder, HEAD, what) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _bad(folder, HEAD, f"it does not read ({error})") from error
    if not isinstance(form, int) or form > FORMAT:
        by = head.get("version")
        raise _bad(folder, HEAD, f"qubo-attn {by} wrote it, in format {form}; install that version")
    if head.get("digest") != _digest(head):
        raise _bad(folder, HEAD, "it is damaged: its checksum does not match")
    return dict(head)


def _events_of(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the events of a journal, and where the last whole line ends.

    Raises:
        JobError: a line before the last is damaged.
    """
    try:
        data = read_bytes(folder / EVENTS)
    except OSError as error:
        raise _bad(folder, EVENTS, str(error.strerror)) from error
    events, whole = [], 0
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        event = _event(line)
        if event is None:
            if number < len(lines) - 1:
                raise _bad(folder, EVENTS, f"line {number} is damaged", line=number)
            break
        events.append(event)
        whole += len(line) + 1
    return events, whole


def _event(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line; None where it is not as it was written."""
    try:
        event = json.loads(line)
        return event if event["check"] == _digest(event)[:_CHECK] else None
    except (ValueError, KeyError, TypeError):
        return None


def _bad(folder: Path, name: str, problem: str, **facts: object) -> JobError:
    file = folder / name
    return JobError(f"{file}: {problem}", code="journal", file=str(file), **facts)


# -- answers ---------------------------------------------------------------------------------------


def _packed(answer: Answer) -> bytes:
    """Return an answer as an archive of arrays; one bit a spin, and nothing is packed further."""
    facts = {"timing": dict(answer.timing), "queue": answer.queue, "solver": answer.solver}
    arrays = {
        "bits": np.packbits(answer.reads > 0, axis=1),
        "columns": answer.columns,
        "energies": answer.energies,
        "occurrences": answer.occurrences,
        "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
    }
    if answer.broken is not None:
        arrays["broken"] = answer.broken
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # its type knows one option
    return buffer.getvalue()


def _unpacked(file: Path) -> Answer:
    try:
        arrays = unpacked(file)
        facts = json.loads(arrays["facts"].tobytes())
        columns = arrays["columns"]
        bits = np.unpackbits(arrays["bits"], axis=1, count=len(columns))
        return Answer(
            (2 * bits.view(np.int8) - 1),
            columns,
            arrays["energies"],
            arrays["occurrences"],
            arrays.get("broken"),
            facts["timing"],
            facts["queue"],
            facts["solver"],
        )
    except (InputError, KeyError, ValueError, TypeError) as error:
        raise JobError(
            f"{file} does not read ({error}); take it away, and the job gets the answer anew",
            code="journal",
            file=str(file),
        ) from error
