"""Memory of stages, and what one more batch costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.common import memory
from qubo_attn.report.profiling import ARRAYS, COEFFICIENTS, Part, Profile

BLOCK = """
import numpy as np
from qubo_attn.common.memory import forget_peak, peak
start = peak()
block = np.ones(2**23)
del block
risen = peak()
print(risen - start, forget_peak(), peak() - start)
"""


def test_peak_is_that_of_the_process() -> None:
    """A block of 64 MiB shows, also once it is gone; then the mark is reset."""
    result = subprocess.run([sys.executable, "-c", BLOCK], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    rise, resets, after = result.stdout.split()
    assert 60 < float(rise) < 80
    if resets == "True":
        assert float(after) < 8


def test_systems_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = memory.peak()
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "_FORGET", tmp_path / "absent" / "clear_refs")
    least = memory.peak()
    assert (told is None) == (least is None)
    assert least is None or least > 1
    assert not memory.forget_peak()


def test_stages_know_their_peak(minilm: dict[str, np.ndarray], tmp_path: Path) -> None:
    compiled = qa.compile(minilm["scores"], 12, select=qa.ExactlyK(4), target=None)
    peaks = [stage.peak for stage in compiled.stages]
    assert all(peak is not None and peak > 1 for peak in peaks)
    compiled.save(tmp_path / "saved")
    again = qa.load(tmp_path / "saved")
    assert [stage.peak for stage in again.stages] == peaks
    report = again.report()
    assert [stage["peak"] for stage in report.stages] == peaks
    header, first = str(report).split("\n")[:2]
    assert header.endswith("peak MiB")
    assert first.endswith(memory.memory_text(peaks[0]))


def test_profile_names_every_part(minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"],
        target="zephyr:6",
        cache=cache,
    )
    digest = compiled.program.digest()
    profile = compiled.profile(2)
    names = [part.name for part in profile.parts if part.within is None]
    passes = [stage.name for stage in compiled.stages]
    assert names == ["checks", *passes, COEFFICIENTS, ARRAYS]
    inner = [(part.name, part.within) for part in profile.parts if part.within is not None]
    assert inner == [("certificates", "insert-penalties")]
    assert (profile.rows, profile.repeats) == (120, 2)
    assert all(part.seconds >= 0 for part in profile.parts)
    assert profile.seconds == pytest.approx(
        sum(part.seconds for part in profile.parts if part.within is None)
    )
    assert str(profile).split("\n")[-1].startswith("one more batch: ")
    assert compiled.program.digest() == digest


def test_profile_of_logical_and_of_leveled(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"][:1],
        1,
        select=qa.SoftWeights(2, k=2),
        objective="output",
        values=minilm["value"][:1],
        target=None,
    )
    names = [part.name for part in compiled.profile(1).parts]
    assert "certificates" in names
    assert ARRAYS not in names


def test_what_bounds_a_batch() -> None:
    parts = (
        Part("checks", 1.0),
        Part("insert-penalties", 5.0),
        Part("certificates", 3.0, within="insert-penalties"),
        Part("coefficients", 2.0),
    )
    profile = Profile(parts, 4, 1)
    assert profile.seconds == 8.0
    assert profile.bounded_by.name == "certificates"
    assert Profile((*parts, Part("embed", 9.0)), 4, 1).bounded_by.name == "embed"
    short = Part("certificates", 2.0, within="insert-penalties")
    assert Profile((parts[0], parts[1], short), 4, 1).bounded_by.name == "insert-penalties"
    facts = profile.to_dict()
    assert facts["bounded_by"] == "certificates"
    assert facts["seconds"] == 8.0


def test_repeats_are_checked(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(minilm["scores"][:1, :2], 1, select=qa.ExactlyK(2), target=None)
    with pytest.raises(qa.QuboAttnError, match="repeats must be a whole number >= 1, not 0"):
        compiled.profile(0)
