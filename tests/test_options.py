"""Options: unknown ones are named with the nearest, known ones are checked where they are given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dimod
import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.backend.chain_strength import torque_strengths
from qubo_attn.compiler import prepare

RNG = np.random.default_rng(3)
SCORES = RNG.normal(size=(2, 2, 8))
KEYS = RNG.normal(size=(2, 8, 3))


def compiled(**options: Any) -> qa.CompiledAttention:
    return qa.compile(SCORES, 2, **({"select": qa.ExactlyK(2), "target": None} | options))


class Whatever(dimod.Sampler):  # type: ignore[misc]
    """A sampler that does not say what it takes."""

    properties: dict[str, Any] = {}  # noqa: RUF012
    parameters: dict[str, Any] = {}  # noqa: RUF012

    def sample(self, bqm: dimod.BinaryQuadraticModel, **options: Any) -> dimod.SampleSet:
        self.options = options
        return dimod.RandomSampler().sample(bqm, num_reads=3, seed=0)


# -- names -----------------------------------------------------------------------------------------

UNKNOWN: list[tuple[Callable[[], object], str]] = [
    (lambda: compiled(slot=3), "compile has no option 'slot'; did you mean 'slots'"),
    (lambda: prepare(SCORES, 2, objectiv="hard"), "did you mean 'objective'"),  # type: ignore[call-arg]
    (lambda: qa.compile_batch([SCORES], 2, windw=3), "did you mean 'window'"),  # type: ignore[call-arg]
    (lambda: qa.compile_batch([SCORES], 2, selct=3), "did you mean 'select'"),  # type: ignore[call-arg]
    (lambda: compiled().solve(num_read=3), "did you mean 'num_reads'"),
    (lambda: compiled().solve(sed=3), "did you mean 'seed'"),
    (lambda: compiled().solve(decodr="levels"), "did you mean 'decoder'"),
    (lambda: compiled().solve(dimod.RandomSampler(), num_raeds=3), "did you mean 'num_reads'"),
    (lambda: compiled().solve(dimod.RandomSampler(), beta=3), "RandomSampler has no option 'beta'"),
    (lambda: compiled().solve(dimod.ExactSolver(), num_read=3), "did you mean 'num_reads'"),
    (lambda: compiled().solve(Whatever(), num_read=3), "did you mean 'num_reads'"),
    (lambda: compiled().schedule(anealing_time=3), "did you mean 'annealing_time'"),
    (lambda: compiled().rebind(SCORES, maks=None), "did you mean 'mask'"),  # type: ignore[call-arg]
    (lambda: compiled().html(token="a"), "did you mean 'tokens'"),  # type: ignore[call-arg]
    (lambda: compiled().decode([], decodr="x"), "did you mean 'decoder'"),  # type: ignore[call-arg]
    (lambda: qa.ExactlyK(kk=3), "ExactlyK has no option 'kk'; did you mean 'k'"),  # type: ignore[call-arg]
    (lambda: qa.Sparsify(slot=3), "Sparsify has no option 'slot'; did you mean 'slots'"),  # type: ignore[call-arg]
    (lambda: qa.Selection(alfa=3), "did you mean 'alpha'"),  # type: ignore[call-arg]
    (lambda: qa.Head(ties="a"), "did you mean 'tie'"),  # type: ignore[call-arg]
    (lambda: qa.Diversity(pair="all"), "did you mean 'pairs'"),  # type: ignore[call-arg]
    (lambda: qa.EmbeddingCache(folders="x"), "did you mean 'folder'"),  # type: ignore[call-arg]
]


@pytest.mark.parametrize(("call", "message"), UNKNOWN, ids=[message for _, message in UNKNOWN])
def test_unknown_options_are_named_with_the_nearest(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(qa.InputError, match=message.replace("(", r"\(")):
        call()


def test_options_of_a_pass_in_a_text() -> None:
    with pytest.raises(qa.PassError, match="has no option 'slot'; did you mean 'slots'"):
        compiled(passes="sparsify{slot=3}, insert-penalties")


def test_options_of_the_layer() -> None:
    torch = pytest.importorskip("torch")
    from qubo_attn.torch import AnnealedAttention

    with pytest.raises(qa.InputError, match="did you mean 'batch_first'"):
        AnnealedAttention(8, 2, batch_frist=True)
    with pytest.raises(qa.InputError, match="did you mean 'select'"):
        AnnealedAttention(8, 2, selet=qa.ExactlyK(2))
    with pytest.raises(qa.InputError, match="did you mean 'num_reads'"):
        AnnealedAttention(8, 2, sampler_options={"num_read": 3})
    assert torch is not None


def test_a_sampler_that_does_not_say_gets_all_options() -> None:
    sampler = Whatever()
    compiled().solve(sampler, num_reads=3, colour="red", x_new=1)
    assert sampler.options["colour"] == "red"
    assert sampler.options["num_reads"] == 3


# -- values ----------------------------------------------------------------------------------------


def test_couplings_are_taken_as_arrays() -> None:
    """Arrays, lists and tuples of the same numbers make the same objective and program."""
    matrix = RNG.normal(size=(8, 8))
    matrix += matrix.T
    nested = tuple(map(tuple, matrix.tolist()))
    given = [qa.Boltzmann(couplings=c) for c in (matrix, matrix.tolist(), nested)]
    assert given[0] == given[1] == given[2]
    assert len({hash(objective) for objective in given}) == 1
    programs = [str(compiled(objective=objective).program) for objective in given]
    assert programs[0] == programs[1] == programs[2]
    linear = compiled(objective=given[0], select=qa.Unconstrained(), slots=None).program.objective
    pairs = zip(linear.i[:7].tolist(), linear.j[:7].tolist(), linear.bias[:7], strict=True)
    assert all(bias == -matrix[i, j] for i, j, bias in pairs)


def test_boltzmann_couplings_of_each_head_survive_saving(tmp_path: Path) -> None:
    matrices = RNG.normal(size=(2, 8, 8))
    matrices += matrices.transpose(0, 2, 1)
    first = compiled(objective=qa.Boltzmann(couplings=matrices))
    first.save(tmp_path / "kept")
    loaded = qa.load(tmp_path / "kept")
    assert loaded.recipe.objectives == first.recipe.objectives


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        (qa.Selection(alpha=1e308), "alpha of 1e.308"),
        (qa.Selection(alpha=-1e308), "alpha of -1e.308"),
        (qa.Redundancy(strength=1e308), "strength of 1e.308"),
        (qa.Boltzmann(couplings=np.full((8, 8), 1e308)), "couplings of 1e.308"),
    ],
)
def test_options_that_overflow_are_named(objective: Any, name: str) -> None:
    with pytest.raises(qa.InputError, match=f"{name} makes coefficients of .* sums overflow"):
        compiled(objective=objective, keys=KEYS)


def test_large_options_that_do_not_overflow_are_taken() -> None:
    """With pair terms alone in charge, the pair of least product of scores is best."""
    result = compiled(objective=qa.Selection(alpha=1e200), slots=None).solve("anneal", seed=1)
    products = SCORES[..., :, None] * SCORES[..., None, :]
    products[..., np.arange(8), np.arange(8)] = 0.0
    chosen = np.argwhere(result.selected).reshape(2, 2, 2, 3)[..., 2]
    ends = np.triu_indices(8, 1)
    least = products[..., ends[0], ends[1]].argmin(axis=-1)
    # alpha itself is on every key and the same for all.
    assert np.array_equal(chosen, np.stack([ends[0][least], ends[1][least]], axis=-1))


@pytest.mark.parametrize("scale", [1e-200, 1e-150, 1.0, 1e150, 1e250])
def test_chain_strengths_scale_with_the_couplings(scale: float) -> None:
    coupling, edge = np.array([1.0, -2.0, 0.5]), np.array([0, 0, 1])
    variables, couplers = np.array([3, 2]), np.array([2, 1])
    plain = torque_strengths(coupling, edge, variables, couplers)
    scaled = torque_strengths(scale * coupling, edge, variables, couplers)
    assert scaled == pytest.approx(scale * plain, rel=1e-12)


def test_counts_and_levels_have_limits() -> None:
    assert qa.ExactlyK(2**31 - 1).counts(np.array([5])) == 5
    assert int(compiled(select=qa.ExactlyK(2**31 - 1)).solve("anneal", seed=1).selected.sum()) == 32
    for make in (qa.ExactlyK, qa.AtMostK, qa.Budget):
        with pytest.raises(qa.InputError, match="k must be a whole number from 1 to 2147483647"):
            make(2**62)
    with pytest.raises(qa.InputError, match="levels must be a whole number from 1 to 65535"):
        qa.SoftWeights(2**31)
    with pytest.raises(qa.InputError, match="more than 1024 bits for 5000 levels"):
        qa.SoftWeights(5000, encoding="unary")


def test_many_levels_are_encoded_by_few_bits() -> None:
    soft = qa.SoftWeights(65535)
    program = compiled(objective="sparsemax", select=soft, slots=2).program
    assert len(program) == 2 * 2 * 2 * 16


def test_a_program_of_the_largest_weight_is_encoded() -> None:
    program = qa.Program.parse(f"w[0,0,0] in 0..{2**31 - 1} : -2")
    rewrite = qa.BinarizeWeights("auto").apply(program)
    assert rewrite.lift.lift(np.ones((1, len(rewrite.program))))[0, 0] == 2**31 - 1


@pytest.mark.parametrize("number", [np.float32(1.5), np.float64(1.5), np.float16(1.5), 1.5])
def test_chain_strengths_of_any_width(number: Any) -> None:
    one = compiled(target="zephyr:2", chain_strength=number, select=qa.OneHot())
    assert one.recipe.chain_strength == 1.5
    assert type(one.recipe.chain_strength) is float


def test_numpy_numbers_count_as_their_own() -> None:
    plain = compiled(seed=3, slots=6).solve("anneal", seed=5, num_reads=4, multiplier_steps=1)
    odd = qa.compile(
        SCORES, np.int8(2), select=qa.ExactlyK(np.uint16(2)), target=None, seed=np.uint64(3),
        slots=np.int16(6),
    ).solve(
        "anneal", seed=np.int64(5), num_reads=np.int32(4), multiplier_steps=np.int64(1)
    )  # fmt: skip
    assert np.array_equal(plain.selected, odd.selected)
    assert np.array_equal(plain.energies, odd.energies)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_reads": 0}, "num_reads must be a whole number from 1 to 1000000, not 0"),
        ({"num_reads": True}, "num_reads must be a whole number"),
        ({"num_reads": 10**20}, "num_reads must be a whole number"),
        ({"num_sweeps": 2**40}, "num_sweeps must be a whole number"),
        ({"beta_range": "cold"}, "the local sampler takes no such options"),
        ({"multiplier_steps": True}, "multiplier_steps must be a whole number"),
        ({"seed": 1.5}, "seed must be from 0 to 2.31 - 1, not 1.5"),
        ({"seed": True}, "seed must be from 0"),
        ({"sampler": 3}, "sampler must be a dimod sampler, not 3"),
        ({"before": 3}, "before must be a function, not 3"),
    ],
)
def test_odd_options_of_solve_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        compiled().solve(**({"sampler": "anneal"} | options))


def test_the_last_seed_serves_many_submissions() -> None:
    """Seeds of later submissions go on from 0."""
    many = qa.compile(RNG.normal(size=(1, 60, 16)), 1, select=qa.ExactlyK(4), target="zephyr:2")
    assert len(many.submissions) > 1
    assert many.solve("anneal", seed=2**31 - 1).feasible.all()


@pytest.mark.parametrize("name", ["annealing_time", "readout_thermalization"])
@pytest.mark.parametrize("time", [-1, True, float("nan"), float("inf"), "long"])
def test_times_of_a_schedule_are_numbers(name: str, time: object) -> None:
    placed = compiled(target="zephyr:2", select=qa.OneHot())
    with pytest.raises(qa.InputError, match=f"{name} must be a finite number"):
        placed.schedule(**{name: time})
    with pytest.raises(qa.InputError, match=f"{name} must be a finite number"):
        placed.submissions[0].validate(**{name: time})


def test_longer_anneals_take_longer() -> None:
    placed = compiled(target="zephyr:2", select=qa.OneHot())
    short, long = (placed.schedule(100, annealing_time=t) for t in (np.float32(20), 120))
    assert long.microseconds == pytest.approx((short.microseconds or 0) + 100 * 100)


# -- paths -----------------------------------------------------------------------------------------


def test_a_home_in_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert qa.EmbeddingCache("~/packings").folder == tmp_path / "packings"
    first = compiled(target="zephyr:2", select=qa.OneHot(), cache="~/packings")
    assert list((tmp_path / "packings").glob("*/*"))
    first.save("~/artifact")
    assert str(qa.load("~/artifact").program) == str(first.program)
    first.write_html("~/page.html")
    first.submissions[0].export("~/row.bqm")
    assert qa.read_bqm("~/row.bqm") == first.submissions[0].bqm
    np.savez(tmp_path / "scores.npz", scores=SCORES)
    assert np.array_equal(qa.read_attention("~/scores.npz")["scores"], SCORES)
    first.draw(file="~/chip.png")
    assert (tmp_path / "page.html").is_file()
    assert (tmp_path / "chip.png").is_file()
    assert not (tmp_path / "~").exists()


def test_paths_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    first = compiled(target="zephyr:2", select=qa.OneHot())
    absent = tmp_path / "absent" / "x.png"
    with pytest.raises(qa.InputError, match=r"x\.png cannot be written: No such file"):
        first.draw(file=absent)
    with pytest.raises(qa.InputError, match=r"x\.html cannot be written: No such file"):
        first.write_html(absent.with_suffix(".html"))
    with pytest.raises(qa.InputError, match="unknown format 'bmpx'"):
        first.draw(file=tmp_path / "x.bmpx")
    with pytest.raises(qa.InputError, match="folder must be a path, not 3"):
        first.save(3)  # type: ignore[arg-type]
