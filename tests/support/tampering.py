"""Every array of some artifacts changed in eight ways: what loading and solving makes of it.

Run in child processes, as a kernel that is handed a wrong index takes its process with it::

    python -m tests.support.tampering FOLDER START STRIDE

prints the number of each case before it is tried and its outcome after it.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import qubo_attn as qa
from qubo_attn.common.arrays import Array
from tests.support.artifacts import parts_of, write_parts

SECONDS = 60  # a case that takes longer hangs


def _one(array: Array, value: float) -> Array:
    """Put a value into the middle, as far as the dtype holds it; flip a bool."""
    flat = array.flatten()
    middle = len(flat) // 2
    if flat.dtype == bool:
        flat[middle : middle + 1] ^= True
    elif len(flat):
        whole = flat.dtype.kind in "iu"
        limits = np.iinfo(flat.dtype) if whole else np.finfo(flat.dtype)
        value = limits.min if whole and np.isnan(value) else value
        flat[middle] = np.clip(value, limits.min, limits.max)
    return flat.reshape(array.shape)


def _shuffled(array: Array) -> Array:
    return np.random.default_rng(0).permutation(array.ravel()).reshape(array.shape)


def _other_dtype(array: Array) -> Array:
    kinds = {"f": np.float32, "i": np.int16, "u": np.int64, "b": np.float64}
    return array.astype(kinds[array.dtype.kind])


WAYS = {
    "far out": lambda array: _one(array, 1e8),
    "negative": lambda array: _one(array, -1),
    "not a number": lambda array: _one(array, np.nan),
    "shortened": lambda array: array[:-1] if array.ndim and len(array) else array[None],
    "lengthened": lambda array: np.concatenate([np.atleast_1d(array)] * 2),
    "other dtype": _other_dtype,
    "empty": lambda array: np.atleast_1d(array)[:0],
    "shuffled": _shuffled,
}


class Case(NamedTuple):
    artifact: Path
    array: str
    way: str
    checksums: bool

    def __str__(self) -> str:
        kind = "right" if self.checksums else "stale"
        return f"{self.artifact.name}: {self.array} {self.way}, checksums {kind}"


@cache
def parts(artifact: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return facts and arrays of an artifact, read once."""
    return parts_of(artifact)


def cases(folder: Path) -> Iterator[Case]:
    """Yield all cases over the artifacts in a folder."""
    for artifact in sorted(folder.iterdir()):
        for array in sorted(parts(artifact)[1]):
            for way in WAYS:
                yield Case(artifact, array, way, False)
                if array != "facts":
                    yield Case(artifact, array, way, True)


def answer(folder: Path) -> bytes:
    """Return what an artifact gives, once all that can be asked of it has been asked."""
    loaded = qa.load(folder)
    result = loaded.solve("anneal", seed=1, num_reads=5)
    str(loaded.report())
    loaded.certificates.recheck()
    return b"".join(a.tobytes() for a in (result.weights, result.selected, result.energies))


def outcome(case: Case, good: bytes, scratch: Path) -> str:
    """Return what becomes of a case."""
    facts, arrays = parts(case.artifact)
    changed = np.asarray(WAYS[case.way](arrays[case.array]))
    old = arrays[case.array]
    if (changed.dtype, changed.shape, changed.tobytes()) == (old.dtype, old.shape, old.tobytes()):
        return "unchanged"
    write_parts(scratch, facts, arrays | {case.array: changed}, checksums=case.checksums)
    try:
        return "same" if answer(scratch) == good else "other"
    except qa.InputError:
        return "refused"
    except qa.QuboAttnError as error:
        return f"late: {type(error).__name__}"
    except BaseException as error:
        return f"bare: {error!r}"


def main(folder: Path, start: int, stride: int) -> None:
    scratch = folder.parent / f"changed-{start % stride}"
    good: dict[Path, bytes] = {}
    for number, case in enumerate(cases(folder)):
        if number < start or (number - start) % stride:
            continue
        if case.artifact not in good:
            good[case.artifact] = answer(case.artifact)
        print(json.dumps(number), flush=True)
        signal.alarm(SECONDS)  # ends the process, within a kernel too
        print(json.dumps(outcome(case, good[case.artifact], scratch)), flush=True)
        signal.alarm(0)


def outcomes(folder: Path, processes: int = 2) -> dict[Case, str]:
    """Return what becomes of every case; a process that is lost is started anew."""
    every = list(cases(folder))
    found: dict[Case, str] = {}

    def work(start: int) -> None:
        while start < len(every):
            module = [sys.executable, "-m", "tests.support.tampering"]
            run = subprocess.run(
                [*module, str(folder), str(start), str(processes)], capture_output=True, text=True
            )
            told = [json.loads(line) for line in run.stdout.splitlines()]
            tried, became = told[::2], told[1::2]
            for number, text in zip(tried, became, strict=False):
                found[every[number]] = text
            if run.returncode == 0:
                return
            if len(tried) == len(became):
                raise RuntimeError(run.stderr)
            lost = "hung" if run.returncode == -signal.SIGALRM else f"died ({run.returncode})"
            found[every[tried[-1]]] = lost
            start = tried[-1] + processes

    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(work, range(processes)))
    return found


def counted(found: dict[Case, str]) -> Counter[str]:
    """Return how often each outcome came, checksums told apart."""
    return Counter(
        f"{'right' if case.checksums else 'stale'} checksums, {re.sub(r':.*', '', text)}"
        for case, text in found.items()
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
