from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.common import files
from qubo_attn.common.files import is_written

OLD, NEW = ([[3.0, 2.0, 1.0, 0.0]], [[0.0, 1.0, 2.0, 3.0]])


def compiled(scores: list[list[float]]) -> qa.CompiledAttention:
    made = qa.compile(scores, 1, select=qa.ExactlyK(2), target=None)
    assert made.bound == 0.0  # proved here: children are to do nothing but save
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    compiled(OLD).save(tmp_path / "artifact")
    return tmp_path / "artifact"


def held(folder: Path) -> list[list[float]]:
    """Return the scores of an artifact, once its program is that of these scores."""
    loaded = qa.load(folder)
    scores: list[list[float]] = loaded.attention.logits[0].tolist()
    assert loaded.program.same(compiled(scores).program)
    return scores


def in_child(work: Callable[[], object]) -> int:
    """Start a child that does some work; return its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads: the child uses none
        child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(int(sys.exc_info()[0] is not None))


def lines_of(
    work: Callable[[], object], stop: int = -1, act: Callable[[], object] = lambda: None
) -> int:
    """Count the lines of `qubo_attn.common.files` that some work runs; act before one of them."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename != files.__file__:
            return None
        if event == "line":
            count += 1
            if count == stop:
                act()
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupted() -> None:
    raise KeyboardInterrupt


def test_a_killed_save_costs_nothing(folder: Path) -> None:
    new = compiled(NEW)
    shutil.copytree(folder, folder.parent / "first")
    total = lines_of(lambda: new.save(folder.parent / "first"))
    moments = random.Random(7).sample(range(1, total + 1), 40)
    seen = []
    for moment in moments:
        copy = folder.parent / f"killed-{moment}"
        shutil.copytree(folder, copy)
        save = partial(new.save, copy)
        child = in_child(partial(lines_of, save, moment, killed))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        seen.append(held(copy))
        compiled(OLD).save(copy)
        assert held(copy) == OLD
    assert all(scores in (OLD, NEW) for scores in seen)
    assert OLD in seen
    assert NEW in seen


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_full_disk_costs_nothing(folder: Path, share: float) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    new, room = compiled(NEW), int(share * len(before["artifact.json"]))
    with files_up_to(room), pytest.raises(qa.InputError, match="artifact cannot be written"):
        new.save(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert held(folder) == OLD


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(qa.InputError, match="file is a file; name a folder"):
        compiled(NEW).save(tmp_path / "file")
    with pytest.raises(qa.InputError, match="file/within cannot be written"):
        compiled(NEW).save(tmp_path / "file" / "within")


# A file that is open at the moment is closed by the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_save_costs_nothing(folder: Path) -> None:
    new, seen = compiled(NEW), []
    shutil.copytree(folder, folder.parent / "first")
    total = lines_of(lambda: new.save(folder.parent / "first"))
    for moment in range(1, total + 1):
        copy = folder.parent / f"interrupted-{moment}"
        shutil.copytree(folder, copy)
        with pytest.raises(KeyboardInterrupt):
            lines_of(partial(new.save, copy), moment, interrupted)
        seen.append(held(copy))
    assert all(scores in (OLD, NEW) for scores in seen)
    assert OLD in seen
    assert NEW in seen


def saved_often(made: qa.CompiledAttention, folder: Path) -> None:
    for _ in range(40):
        made.save(folder)


def test_two_writers_beside_a_reader(folder: Path) -> None:
    children = set()
    for scores in (OLD, NEW):
        made = compiled(scores)
        children.add(in_child(partial(saved_often, made, folder)))
    seen = []
    while children:
        seen.append(held(folder))
        child, status = os.waitpid(-1, os.WNOHANG)
        assert status == 0
        children -= {child}
    assert all(scores in (OLD, NEW) for scores in seen)
    assert not is_written(folder)
    # Nothing was left that the reader would have to settle.
    assert held(folder) in (OLD, NEW)
    assert {file.name for file in folder.iterdir()} == {"artifact.json", "arrays.npz"}


def test_saved_again_it_has_the_same_bytes(folder: Path) -> None:
    again = folder.parent / "again"
    qa.load(folder).save(again)
    for file in ("artifact.json", "arrays.npz"):
        assert (again / file).read_bytes() == (folder / file).read_bytes()


@pytest.mark.parametrize("part", ["artifact.json", "arrays.npz"])
def test_parts_of_two_artifacts_are_refused(folder: Path, part: str) -> None:
    compiled(NEW).save(folder.parent / "new")
    shutil.copy(folder.parent / "new" / part, folder / part)
    with pytest.raises(qa.InputError, match="are of two artifacts"):
        qa.load(folder)


def test_facts_may_be_laid_out_otherwise(folder: Path) -> None:
    file = folder / "artifact.json"
    file.write_text(json.dumps(json.loads(file.read_text())), newline="\r\n")
    assert held(folder) == OLD


def test_rows_of_two_keys_load_again(tmp_path: Path) -> None:
    """A row that becomes one bit leaves no constraint, and its certificate keeps its own."""
    made = qa.compile([[1.0, -2.0]], 1, select=qa.OneHot(), objective="hard", target=None)
    made.save(tmp_path)
    loaded = qa.load(tmp_path)
    assert loaded.certificates.weight.tolist() == made.certificates.weight.tolist()
    assert loaded.solve("anneal", seed=1).selected.tolist() == [[[True, False]]]
    assert np.array_equal(
        loaded.solve("anneal", seed=1).weights, made.solve("anneal", seed=1).weights
    )
