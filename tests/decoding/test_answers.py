"""What is handed to `decode`: sample sets of the submissions, and errors that name the odd one."""

from __future__ import annotations

from typing import Any

import dimod
import numpy as np
import pytest

import qubo_attn as qa

SCORES = np.random.default_rng(5).normal(size=(1, 60, 8))


@pytest.fixture(scope="module")
def compiled() -> qa.CompiledAttention:
    """Rows that take more submissions than one."""
    made = qa.compile(SCORES, 1, select=qa.ExactlyK(3), slots=None, target="zephyr:1")
    assert len(made.submissions) > 1
    return made


@pytest.fixture(scope="module")
def answers(compiled: qa.CompiledAttention) -> list[dimod.SampleSet]:
    """The best selection of each row, as samples of the logical models."""
    sampler = dimod.RandomSampler()
    sets = [sampler.sample(part.bqm, num_reads=3, seed=7) for part in compiled.submissions]
    return [dimod.SampleSet.from_samples_bqm(one, part.bqm)
            for one, part in zip(sets, compiled.submissions, strict=True)]  # fmt: skip


def changed(answer: dimod.SampleSet, **columns: Any) -> dimod.SampleSet:
    """Return the answer with other columns."""
    record = answer.record.copy()
    for name, column in columns.items():
        record[name] = column
    return dimod.SampleSet(record, answer.variables, {}, answer.vartype)


def test_generators_and_tuples_are_read_as_lists(
    compiled: qa.CompiledAttention, answers: list[dimod.SampleSet]
) -> None:
    plain = compiled.decode(answers)
    for given in (iter(answers), (one for one in answers), tuple(answers)):
        assert np.array_equal(compiled.decode(given).selected, plain.selected)


@pytest.mark.parametrize(
    "given", [None, 3, "answers", {}, float("nan"), np.array(1), b"x"], ids=str
)
def test_what_is_no_list_is_named(compiled: qa.CompiledAttention, given: Any) -> None:
    with pytest.raises(qa.DecodeError, match="a list of sample sets is needed"):
        compiled.decode(given)


def test_one_sample_set_alone_is_no_list(
    compiled: qa.CompiledAttention, answers: list[dimod.SampleSet]
) -> None:
    with pytest.raises(qa.DecodeError, match="a list of sample sets is needed"):
        compiled.decode(answers[0])


def test_too_few_and_too_many(
    compiled: qa.CompiledAttention, answers: list[dimod.SampleSet]
) -> None:
    count = len(answers)
    for given in (answers[1:], [*answers, answers[0]], []):
        with pytest.raises(qa.DecodeError, match=f"{len(given)} sample sets for {count}"):
            compiled.decode(given)


@pytest.mark.parametrize("odd", [None, {0: 1}, [1, 0], 3, "x", np.zeros(3)], ids=str)
def test_the_submission_of_an_odd_answer_is_named(
    compiled: qa.CompiledAttention, answers: list[dimod.SampleSet], odd: Any
) -> None:
    with pytest.raises(qa.DecodeError, match=r"submission 1: a dimod\.SampleSet is needed") as told:
        compiled.decode([answers[0], odd, *answers[2:]])
    assert told.value.facts["submission"] == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"energy": [np.nan, 0, 0]}, "submission 0: energy of read 0 is nan"),
        ({"energy": [0, np.inf, 0]}, "submission 0: energy of read 1 is inf"),
        ({"num_occurrences": [1, -1, 1]}, "submission 0: num_occurrences of read 1 is -1"),
        ({"num_occurrences": 0}, "submission 0: no read ever occurred"),
        ({"sample": 5}, "submission 0: read 0 has 5 for .* neither 0 nor 1"),
    ],
)
def test_odd_numbers_of_an_answer_are_named(
    compiled: qa.CompiledAttention,
    answers: list[dimod.SampleSet],
    columns: dict[str, Any],
    message: str,
) -> None:
    odd = changed(answers[0].change_vartype("BINARY", inplace=False), **columns)
    with pytest.raises(qa.DecodeError, match=message):
        compiled.decode([odd, *answers[1:]])


def test_an_empty_answer_is_named(
    compiled: qa.CompiledAttention, answers: list[dimod.SampleSet]
) -> None:
    with pytest.raises(qa.DecodeError, match="submission 0 has no samples"):
        compiled.decode([answers[0].slice(0, 0), *answers[1:]])


def test_reads_that_never_occurred_do_not_count(
    compiled: qa.CompiledAttention, answers: list[dimod.SampleSet]
) -> None:
    """The last read alone occurred: the result is that of an answer that holds it alone."""
    never = [changed(one, num_occurrences=[0, 0, 2]) for one in answers]
    alone = [changed(one, num_occurrences=[1, 1, 2]).slice(2, 3, sorted_by=None) for one in answers]
    for decoder in ("renormalise", "marginals"):
        one, other = compiled.decode(never, decoder), compiled.decode(alone, decoder)
        assert np.array_equal(one.weights, other.weights)


def test_decoders_are_checked(
    compiled: qa.CompiledAttention, answers: list[dimod.SampleSet]
) -> None:
    for decoder in ("", "level", 3, True):
        with pytest.raises(qa.InputError, match="unknown decoder"):
            compiled.decode(answers, decoder)  # type: ignore[arg-type]
