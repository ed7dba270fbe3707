"""What a sampler is, asked of real ones: machines, composites around them, logical samplers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import dimod
import numpy as np
import pytest
from dimod.exceptions import BinaryQuadraticModelStructureError
from dwave.preprocessing.composites import (
    ConnectedComponentsComposite,
    ScaleComposite,
    SpinReversalTransformComposite,
)
from dwave.samplers import SimulatedAnnealingSampler, SteepestDescentSampler
from dwave.system.composites import (
    AutoEmbeddingComposite,
    EmbeddingComposite,
    FixedEmbeddingComposite,
    LazyFixedEmbeddingComposite,
    TilingComposite,
)
from dwave.system.testing import MockDWaveSampler

import qubo_attn as qa
from qubo_attn.backend.sample import READS
from qubo_attn.machine.sampler import machine_behind

SCORES = np.array([[[2.0, 1.0, 0.5], [0.1, 0.2, 3.0]], [[0.0, 1.5, 1.0], [1.0, 0.5, 0.2]]])
BEST = SCORES.argmax(axis=-1)


@pytest.fixture(scope="module", autouse=True)
def cache_of_damaged_machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Other tests must not mend what is packed here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUBO_ATTN_CACHE", str(tmp_path_factory.mktemp("machines")))
        yield


class Machine(MockDWaveSampler):  # type: ignore[misc]
    """A mock of a machine that notes what it is sent."""

    def __init__(self, **options: Any) -> None:
        options = {"topology_type": "zephyr", "topology_shape": [2, 4]} | options
        super().__init__(parameter_warnings=False, **options)
        self.sent: list[dimod.BinaryQuadraticModel] = []
        self.calls: list[dict[str, Any]] = []

    def sample(self, bqm: dimod.BinaryQuadraticModel, **options: Any) -> dimod.SampleSet:
        self.sent.append(bqm.copy())
        self.calls.append(options)
        return super().sample(bqm, **options)


def rows(target: object) -> qa.CompiledAttention:
    """Four rows, each on few enough qubits for the mock to find what is best."""
    return qa.compile(SCORES, 2, select=qa.OneHot(), objective="hard", target=target)


def keys(result: qa.AttentionResult) -> list[list[int]]:
    assert (result.selected.sum(axis=-1) == 1).all()
    chosen: list[list[int]] = result.selected.argmax(axis=-1).tolist()
    return chosen


THROUGH: dict[str, Callable[[dimod.Sampler], dimod.Sampler]] = {
    "bare": lambda machine: machine,
    "spin reversal": lambda machine: SpinReversalTransformComposite(machine, seed=1),
    "tracking": dimod.TrackingComposite,
    "scale": ScaleComposite,
    "truncate": lambda machine: dimod.TruncateComposite(machine, 3),
    "components": ConnectedComponentsComposite,
    "several": lambda machine: dimod.TrackingComposite(
        SpinReversalTransformComposite(ScaleComposite(machine), seed=1)
    ),
}


@pytest.mark.parametrize("name", THROUGH)
def test_machines_get_embedded_models(name: str) -> None:
    machine = Machine()
    sampler = THROUGH[name](machine)
    assert machine_behind(sampler) is machine
    compiled = rows(machine)
    result = compiled.solve(sampler, num_reads=20)
    assert keys(result) == BEST.tolist()
    (part,) = compiled.submissions
    assert set().union(*(model.variables for model in machine.sent)) == {
        q for chain in part.embedding.values() for q in chain
    }
    if name in ("bare", "tracking", "truncate"):
        assert machine.sent == [part.programmed_bqm]


@pytest.mark.parametrize("name", THROUGH)
def test_machines_never_get_logical_models(name: str) -> None:
    machine = Machine()
    with pytest.raises(qa.SubmissionError, match="Machine is a machine: compile with target="):
        rows(None).solve(THROUGH[name](machine))
    assert machine.sent == []


@pytest.mark.parametrize("name", THROUGH)
def test_a_composite_is_compiled_for_as_its_machine(name: str) -> None:
    machine = Machine()
    for target in (
        qa.Target.of(THROUGH[name](machine)),
        qa.Target.from_sampler(THROUGH[name](machine)),
    ):
        assert target is not None
        assert target.hash == qa.Target.of(machine).hash  # type: ignore[union-attr]


def spied(kind: type) -> type:
    """Return a composite that notes the models that it is given."""

    class Spy(kind):  # type: ignore[misc]
        def sample(self, bqm: dimod.BinaryQuadraticModel, **options: Any) -> dimod.SampleSet:
            vars(self).setdefault("given", []).append(bqm.copy())
            return super().sample(bqm, **options)

    return Spy


EMBEDS: dict[str, Callable[[dimod.Sampler, qa.CompiledAttention], Any]] = {
    "embedding": lambda machine, _: spied(EmbeddingComposite)(machine),
    "lazy": lambda machine, _: spied(LazyFixedEmbeddingComposite)(machine),
    "auto": lambda machine, _: spied(AutoEmbeddingComposite)(machine),
    "fixed": lambda machine, compiled: spied(FixedEmbeddingComposite)(
        machine, compiled.submissions[0].embedding
    ),
    "around": lambda machine, _: spied(dimod.TrackingComposite)(EmbeddingComposite(machine)),
}


@pytest.mark.parametrize("name", EMBEDS)
@pytest.mark.parametrize("target", [True, False])
def test_composites_that_embed_get_logical_models(name: str, target: bool) -> None:
    machine = Machine()
    placed = rows(machine)
    compiled = placed if target else rows(None)
    if name == "fixed" and not target:
        compiled = placed
    sampler = EMBEDS[name](machine, placed)
    assert machine_behind(sampler) is None
    for _ in range(2):  # the lazy one has a list of nodes from its second call on
        assert keys(compiled.solve(sampler, num_reads=50)) == BEST.tolist()
    assert sampler.given == [compiled.submissions[0].bqm] * 2


def test_tiles_get_logical_models() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        sampler = TilingComposite(Machine(topology_type="pegasus", topology_shape=[3]), 1, 1)
    compiled = qa.compile(
        [[1.0, -1.0, 2.0]], 1, select=qa.Unconstrained(), objective="hard", target=None, slots=None
    )
    assert compiled.submissions[0].bqm.num_interactions == 0
    assert compiled.solve(sampler, num_reads=5).selected.tolist() == [[[True, False, True]]]
    # Two keys of one row have no coupler on a tile: the composite says so itself.
    with pytest.raises(BinaryQuadraticModelStructureError):
        rows(None).solve(sampler)


@pytest.mark.parametrize("sampler", [EmbeddingComposite(Machine()), dimod.ExactSolver()])
def test_samplers_of_logical_models_are_no_targets(sampler: dimod.Sampler) -> None:
    with pytest.raises(qa.TargetError, match="or None where the sampler embeds"):
        qa.Target.of(sampler)
    with pytest.raises(qa.TargetError, match="lists no qubits and couplers"):
        qa.Target.from_sampler(sampler)


# -- a machine that changed -----------------------------------------------------------------------


def pairs(part: qa.Submission) -> set[Any]:
    return {tuple(sorted(pair)) for pair in part.embedded_bqm.quadratic}


def without(machine: Machine, *lost: Any) -> Machine:
    """Return the machine without some qubits, given as numbers, and couplers, given as pairs."""
    nodes = [q for q in machine.nodelist if q not in lost]
    edges = [e for e in machine.edgelist if e not in lost and set(e) <= set(nodes)]
    return Machine(nodelist=nodes, edgelist=edges)


@pytest.mark.parametrize("name", THROUGH)
def test_a_lost_qubit_is_named(name: str) -> None:
    machine = Machine()
    compiled = rows(machine)
    used = {q for chain in compiled.submissions[0].embedding.values() for q in chain}
    lost: Any = sorted(used)[-1]  # type: ignore[type-var]
    now = without(machine, lost)
    with pytest.raises(qa.SubmissionError, match=rf"qubit {lost} .* compile for it anew") as caught:
        compiled.solve(THROUGH[name](now))
    assert caught.value.facts["qubit"] == lost
    assert now.sent == []
    idle = next(q for q in machine.nodelist if q not in used)
    smaller = without(machine, idle)
    assert keys(compiled.solve(THROUGH[name](smaller), num_reads=20)) == BEST.tolist()
    assert keys(rows(now).solve(THROUGH[name](now), num_reads=20)) == BEST.tolist()


@pytest.mark.parametrize("name", THROUGH)
def test_a_lost_coupler_is_named(name: str) -> None:
    machine = Machine()
    compiled = rows(machine)
    used = pairs(compiled.submissions[0])
    u, v = lost = sorted(used)[-1]
    now = without(machine, lost)
    with pytest.raises(qa.SubmissionError, match=rf"{u} and {v} .* compile for it anew") as caught:
        compiled.solve(THROUGH[name](now))
    assert caught.value.facts["coupler"] in ((u, v), (v, u))
    assert now.sent == []
    idle = next(e for e in machine.edgelist if e not in used)
    smaller = without(machine, idle)
    assert keys(compiled.solve(THROUGH[name](smaller), num_reads=20)) == BEST.tolist()


def test_nothing_is_sent_where_a_later_submission_cannot_be() -> None:
    machine = Machine(topology_shape=[1, 4])
    scores = np.random.default_rng(0).normal(size=(1, 2, 12))
    scores[0, 1, 9:] = -np.inf
    compiled = qa.compile(scores, 1, select=qa.ExactlyK(2), target=machine, slots=None)
    first, last = compiled.submissions
    couplers = pairs(last) - pairs(first)
    assert couplers, "the last submission uses a coupler of its own"
    now = Machine(
        topology_shape=[1, 4],
        edgelist=[e for e in machine.edgelist if e != min(couplers)],
        nodelist=machine.nodelist,
    )
    with pytest.raises(qa.SubmissionError):
        compiled.solve(now)
    assert now.sent == []


def test_another_machine_is_refused() -> None:
    with pytest.raises(qa.SubmissionError, match="compile for it anew"):
        rows("zephyr:2").solve(Machine(topology_type="pegasus", topology_shape=[2]))


def test_machines_with_names() -> None:
    graph = qa.Target.zephyr(1).graph()
    names = {q: f"q{q}" for q in graph}
    named = [(names[u], names[v]) for u, v in graph.edges]
    machine = dimod.StructureComposite(SteepestDescentSampler(), list(names.values()), named)
    compiled = rows(machine)
    assert keys(compiled.solve(machine, num_reads=200, seed=1)) == BEST.tolist()
    chain = next(iter(compiled.submissions[0].embedding.values()))
    left = [n for n in names.values() if n != chain[0]]
    edges = [e for e in named if chain[0] not in e]
    with pytest.raises(qa.SubmissionError, match=f"qubit '{chain[0]}'"):
        compiled.solve(dimod.StructureComposite(SteepestDescentSampler(), left, edges))


# -- reads ----------------------------------------------------------------------------------------


class Noting(dimod.Sampler):  # type: ignore[misc]
    """Passes calls on to a sampler that is no machine and notes their keywords."""

    properties: ClassVar[dict[str, Any]] = {}

    def __init__(self, sampler: dimod.Sampler) -> None:
        self.inner, self.calls = sampler, list[dict[str, Any]]()

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.inner.parameters)

    def sample(self, bqm: dimod.BinaryQuadraticModel, **options: Any) -> dimod.SampleSet:
        self.calls.append(options)
        return self.inner.sample(bqm, **options)


@pytest.mark.parametrize(
    "inner", [dimod.RandomSampler(), SimulatedAnnealingSampler(), SteepestDescentSampler()]
)
def test_samplers_that_take_reads_get_a_number(inner: dimod.Sampler) -> None:
    compiled, sampler = rows(None), Noting(inner)
    compiled.solve(sampler)
    compiled.solve(sampler, num_reads=None)
    compiled.solve(sampler, num_reads=7)
    assert [call["num_reads"] for call in sampler.calls] == [READS, READS, 7]


def test_machines_get_a_number_of_reads() -> None:
    machine = Machine()
    compiled = rows(machine)
    for sampler in (make(machine) for make in THROUGH.values()):
        compiled.solve(sampler)
    compiled.solve(EmbeddingComposite(machine))
    assert {call["num_reads"] for call in machine.calls} == {READS}


def test_samplers_that_take_no_reads_get_none() -> None:
    sampler = Noting(dimod.ExactSolver())
    assert keys(rows(None).solve(sampler, seed=1)) == BEST.tolist()
    assert sampler.calls == [{}]


# -- what is handed out ---------------------------------------------------------------------------


class Scaling(Machine):
    """Changes the model that it is given."""

    def sample(self, bqm: dimod.BinaryQuadraticModel, **options: Any) -> dimod.SampleSet:
        answer = super().sample(bqm, **options)
        bqm.scale(-3.0)
        return answer


def test_models_that_are_handed_out_are_copies() -> None:
    machine = Machine(properties={"num_reads_range": [1, 10]})
    compiled, fresh = rows(machine), rows(machine)
    part, other = compiled.submissions[0], fresh.submissions[0]
    for model in (part.bqm, part.embedded_bqm, part.to_bqm()):
        model.scale(-1.0)
        model.add_linear(next(iter(model.variables)), 50.0)
    for held in (part.embedding, part.chain_strength, part.chain_bound):
        held.clear()
    assert (part.bqm, part.embedded_bqm) == (other.bqm, other.embedded_bqm)
    assert part.embedding == other.embedding
    assert part.chain_bound == other.chain_bound != {}
    scaling = Scaling(properties={"num_reads_range": [1, 10]})
    for _ in range(2):
        assert keys(compiled.solve(scaling, num_reads=25)) == BEST.tolist()
    assert scaling.sent == [part.programmed_bqm] * 6  # three calls each time
    np.testing.assert_array_equal(
        compiled.solve("anneal", seed=1).weights, fresh.solve("anneal", seed=1).weights
    )


def test_arrays_that_are_handed_out_are_read_only() -> None:
    compiled = rows("zephyr:2")
    part = compiled.submissions[0]
    assert part.physical is not None
    assert compiled.coefficients is not None
    vectors = compiled.submissions.to_vectors()[0]
    for array in (
        *(part.linear, part.bias, part.i, part.j, part.scale, part.variables),
        *(vectors.linear, *vectors.quadratic, vectors.labels),
        *(part.physical.h, part.physical.j, part.physical.u, part.physical.chain_qubit),
        *(compiled.coefficients.h, compiled.coefficients.scale, *compiled.coefficients.physical),
        *(compiled.capped, compiled.losses.mass),
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    result = compiled.solve("anneal", seed=1)
    result.capped[...] = True
    assert not compiled.solve("anneal", seed=1).capped.any()
    for h in compiled.hardware_arrays():
        h[...] = 7.0
    assert compiled.hardware_arrays()[0].max() < 7.0
    assert compiled.recipe.target is not None
    compiled.recipe.target.graph().clear()
    assert len(compiled.recipe.target.graph()) == 160


# -- wrong answers --------------------------------------------------------------------------------


class Answering(dimod.Sampler):  # type: ignore[misc]
    """Answers with whatever a function makes of the right answer."""

    properties: ClassVar[dict[str, Any]] = {}
    parameters: ClassVar[dict[str, Any]] = {"num_reads": []}

    def __init__(self, change: Callable[[dimod.SampleSet], Any]) -> None:
        self.change = change

    def sample(self, bqm: dimod.BinaryQuadraticModel, num_reads: int) -> Any:
        return self.change(SimulatedAnnealingSampler().sample(bqm, num_reads=num_reads, seed=1))


class AnsweringMachine(Answering):
    """The same, as a machine."""

    def __init__(self, change: Callable[[dimod.SampleSet], Any]) -> None:
        super().__init__(change)
        machine = Machine()
        self.nodelist, self.edgelist = machine.nodelist, machine.edgelist
        self.properties = machine.properties  # type: ignore[misc]


def rebuilt(answer: dimod.SampleSet, **changes: Any) -> dimod.SampleSet:
    columns = {
        "samples_like": (answer.record.sample, list(answer.variables)),
        "vartype": answer.vartype,
        "energy": answer.record.energy,
    }
    return dimod.SampleSet.from_samples(**(columns | changes))


WRONG: dict[str, tuple[Callable[[dimod.SampleSet], Any], str]] = {
    "nothing": (lambda _: None, "a dimod.SampleSet is needed, not None"),
    "a list": (lambda answer: [answer], "a dimod.SampleSet is needed"),
    "a dict": (lambda answer: dict(answer.first.sample), "a dimod.SampleSet is needed"),
    "fewer reads": (lambda answer: answer.slice(5), "5 reads, 9 were asked for"),
    "no reads": (lambda answer: answer.slice(0), "0 reads, 9 were asked for"),
    "fewer variables": (
        lambda answer: (
            dimod.drop_variables(answer, list(answer.variables)[:1])
            if hasattr(dimod, "drop_variables")
            else rebuilt(
                answer,
                samples_like=(answer.record.sample[:, 1:], list(answer.variables)[1:]),
            )
        ),
        "submission 0",
    ),
    "other variables": (
        lambda answer: answer.relabel_variables(
            {v: f"other {v}" for v in answer.variables}, inplace=False
        ),
        "submission 0",
    ),
    "another kind": (
        lambda answer: rebuilt(
            answer, samples_like=(answer.record.sample * 3, list(answer.variables))
        ),
        "neither",
    ),
    "no number": (
        lambda answer: rebuilt(
            answer,
            samples_like=(
                np.where(answer.record.sample == 1, np.nan, answer.record.sample),
                list(answer.variables),
            ),
        ),
        "neither",
    ),
    "energy that is none": (
        lambda answer: rebuilt(answer, energy=answer.record.energy * np.nan),
        "energy of read 0 is nan",
    ),
    "never seen": (
        lambda answer: rebuilt(answer, num_occurrences=np.zeros(len(answer), int)),
        "0 reads, 9 were asked for",
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("kind", [Answering, AnsweringMachine])
def test_wrong_answers_are_named(name: str, kind: type[Answering]) -> None:
    change, message = WRONG[name]
    sampler = kind(change)
    compiled = rows(Machine() if kind is AnsweringMachine else None)
    with pytest.raises(qa.DecodeError, match=message) as caught:
        compiled.solve(sampler, num_reads=9)
    assert caught.value.facts["submission"] == 0


def test_answers_with_fewer_reads_by_wish() -> None:
    machine = Machine()
    compiled = rows(machine)
    assert keys(compiled.solve(dimod.TruncateComposite(machine, 1), num_reads=20)) == BEST.tolist()
    histogram = machine.sample(compiled.submissions[0].embedded_bqm, num_reads=20)
    assert len(histogram) < 20 == histogram.record.num_occurrences.sum()
    assert keys(compiled.solve(machine, num_reads=20, answer_mode="histogram")) == BEST.tolist()


class OutOfTimeError(RuntimeError):
    """An error of the user's own."""


@pytest.mark.parametrize("kind", [Answering, AnsweringMachine])
def test_what_a_sampler_raises_is_its_own(kind: type[Answering]) -> None:
    error = OutOfTimeError("no time left")

    def change(_: dimod.SampleSet) -> None:
        raise error

    compiled = rows(Machine() if kind is AnsweringMachine else None)
    with pytest.raises(OutOfTimeError) as caught:
        compiled.solve(kind(change))
    assert caught.value is error
