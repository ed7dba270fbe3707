"""A trial: its figures are those of compiling, solving and comparing by hand."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.decoding.output_error import selection_errors
from tests.support.greedy import top_k
from tests.support.markup import Reader, check

RNG = np.random.default_rng(5)
QUERY, KEY, VALUE = RNG.normal(size=(3, 2, 6, 4))
SCORES = QUERY @ KEY.transpose(0, 2, 1) / 2


@pytest.fixture(scope="module")
def trial(cache: qa.EmbeddingCache) -> qa.Trial:
    return qa.try_out(SCORES, k=(2, 3), values=VALUE, target="zephyr:2", cache=cache)


def test_ours_is_the_best_of_all_selections(trial: qa.Trial) -> None:
    """Every row, by enumeration; the objective is the error's square, so the best is the best."""
    for attempt in trial.attempts:
        attention = attempt.compiled.attention
        best = np.full((2, 6), np.inf)
        for keys in combinations(range(6), attempt.k):
            kept = np.zeros((2, 6, 6), bool)
            kept[..., keys] = True
            best = np.minimum(best, selection_errors("residual", kept, attention))
        assert attempt.ours == pytest.approx(best.mean())
        largest = top_k(attention.softmax, attention.visible, np.full((2, 6), attempt.k))
        for decoder, error in (("residual", attempt.top_k), ("renormalise", attempt.renormalised)):
            assert error == pytest.approx(selection_errors(decoder, largest, attention).mean())
        rival = np.minimum(attempt.top_k, attempt.renormalised)
        assert attempt.gain == pytest.approx(1 - attempt.ours / rival)
        same = (attempt.result.selected == largest).all(axis=-1)
        assert attempt.same_as_top_k == same.sum() < attempt.rows == attempt.proven == 12


def test_figures_of_the_machine_are_those_of_the_report(trial: qa.Trial) -> None:
    for attempt in trial.attempts:
        report = attempt.compiled.report(1000)
        assert attempt.programmings == len(report.submissions)
        assert attempt.qubits == max(part["qubits"] for part in report.submissions)
        assert attempt.milliseconds == report.machine["milliseconds"]
        precision = attempt.compiled.precision()
        assert attempt.feasible == pytest.approx(np.median(precision.feasible))
        assert attempt.optimum == pytest.approx(np.median(precision.optimum))


def test_the_verdict_is_about_the_best(trial: qa.Trial) -> None:
    best = max(trial.attempts, key=lambda attempt: 1 - attempt.ours / attempt.top_k)
    assert trial.best is trial.of(best.k) is best
    assert trial.verdict.startswith(f"keep {best.k} keys: the output is off by {best.ours:.1%}")
    assert f"{best.gain:.0%} less error" in trial.verdict
    assert trial.verdict in str(trial)
    assert trial.verdict in Reader(trial._repr_html_()).text
    assert len(repr(trial)) < 300
    assert len(repr(trial.best)) < 300
    assert json.loads(json.dumps(trial.to_dict()))["best"] == best.k
    with pytest.raises(qa.InputError, match="no attempt with 9 keys, only with 2, 3"):
        trial.of(9)


def test_without_values_it_says_what_to_give() -> None:
    trial = qa.try_out(SCORES, k=2, target=None)
    assert trial.attempts[0].same_as_top_k == 12
    assert "equals top-k in every row; give value vectors" in trial.verdict
    assert "error:" not in str(trial)
    assert "qubits" not in str(trial)


def test_no_gain_is_said() -> None:
    # All values alike: no selection is off at all.
    trial = qa.try_out(SCORES, k=2, values=np.ones((2, 6, 3)), target=None)
    assert trial.verdict.startswith("no gain: top-k has no more output error")


def test_numbers_that_leave_no_choice_are_left_out() -> None:
    trial = qa.try_out(SCORES, k=(2, 6, 7, 2), values=VALUE, target=None)
    assert ([each.k for each in trial.attempts], trial.skipped) == ([2], (6, 7))
    assert "left out: 6, 7 keys" in str(trial)
    for scores, k, message in (
        (SCORES, 6, "sees at most 6 keys; give a smaller k"),
        (np.full((1, 2, 3), -np.inf), 2, "no query sees a key"),
        (SCORES, (), "k names no number"),
    ):
        with pytest.raises(qa.InputError, match=message):
            qa.try_out(scores, k=k, target=None)
    with pytest.raises(qa.InputError, match="give k="):
        qa.try_out(SCORES, select=qa.OneHot())


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_tables_fold_by_columns(trial: qa.Trial, width: int) -> None:
    text = trial.text(width)
    assert max(map(len, text.splitlines())) <= width
    table = [line for line in text.splitlines() if line.split()[0] in ("keys", "2", "3")]
    assert [line.split()[0] for line in table] == ["keys", "2", "3"]
    assert len({len(line) for line in table}) == 1
    assert ("qubits" in table[0]) == (width >= 80)
    words = " ".join(trial.text().split()).split()
    assert [word for word in text.split() if word not in words] == []


def test_the_page_is_that_of_an_attempt(trial: qa.Trial, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    for k, shown in ((None, trial.best), (2, trial.of(2))):
        trial.write_html(file, k, tokens="abcdef")
        text = file.read_text(encoding="utf-8")
        assert text == shown.compiled.html(shown.result, tokens="abcdef", reads=1000)
        check(text)


def test_it_says_what_it_is_at() -> None:
    words: list[str] = []
    qa.try_out(SCORES, k=(2, 3), target=None, step=words.append)
    assert words == [
        "compiling for 2 keys", "solving with 2 keys",
        "compiling for 3 keys", "solving with 3 keys",
    ]  # fmt: skip
