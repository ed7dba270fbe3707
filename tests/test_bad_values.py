"""Whatever is handed to a public name, what comes back is right or an error of the package.

The parameters are read off the signatures, so that a new option is tried the day it is there.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any

import dimod
import networkx as nx
import numpy as np
import pytest

import qubo_attn as qa

RNG = np.random.default_rng(0)
SCORES, VALUES, KEYS = (RNG.normal(size=shape) for shape in ((2, 3, 6), (2, 6, 3), (2, 6, 3)))
QUERY, KEY, VALUE = RNG.normal(size=(3, 2, 3, 4))


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


BAD: tuple[Any, ...] = (
    None, True, False, np.bool_(True), 0, -1, -0.5, 2**31, 2**62, 10**20, 10**5000, 1e308, 5e-324,
    float("nan"), float("inf"), -float("inf"), np.float32("nan"), np.float16("inf"), 1j,
    np.complex64(1), Fraction(1, 3), np.datetime64("2020-01-01"),
    "", "x", "\0", b"x", [], (), {}, {"a": 1}, {1, 2}, [None], [1.5], ["x"], [[1, 2], [3]],
    ((0, 1), (1, 2)), ((0, 0),), [(0,)], np.array([[0, 1]]), np.zeros(3), np.zeros(0),
    np.full((2, 2), np.nan), np.array(True), np.array("x"), object(), Unprintable(), int,
)  # fmt: skip

# What a constructor needs besides the option that is tried.
NEEDED: dict[Any, dict[str, Any]] = {
    qa.ExactlyK: {"k": 2},
    qa.AtMostK: {"k": 2},
    qa.Budget: {"k": 2},
    qa.SplitRows: {"block": 2},
    qa.Embed: {"target": qa.Target.zephyr(2)},
    qa.Pipeline: {"passes": ()},
    qa.SimulatedMachine: {"target": "zephyr:1"},
    qa.BlockSearch: {
        "compiled": qa.compile(SCORES, 2, select=qa.ExactlyK(2), target=None, decompose=2)
    },
}
SELECTS = (qa.ExactlyK, qa.AtMostK, qa.OneHot, qa.Unconstrained, qa.Budget, qa.SoftWeights)
OBJECTIVES = (
    qa.Boltzmann, qa.Hard, qa.Layer, qa.LeastSquares, qa.Output, qa.Redundancy, qa.Renormalised,
    qa.Selection, qa.Sparsemax,
)  # fmt: skip
PASSES = (
    qa.BinarizeWeights, qa.Canonicalize, qa.Compress, qa.DropCouplers, qa.Embed,
    qa.InsertPenalties, qa.KeepOneHot, qa.Quantize, qa.Sparsify, qa.SplitRows,
    qa.TieVariables,
)  # fmt: skip
CONSTRUCTORS = (
    *SELECTS, *OBJECTIVES, *PASSES, qa.Head, qa.Diversity, qa.Agreement, qa.Pipeline,
    qa.EmbeddingCache, qa.LocalSolver, qa.SimulatedMachine, qa.Retry, qa.BlockSearch,
)  # fmt: skip


def compiled_with(**options: Any) -> qa.CompiledAttention:
    defaults = {"select": qa.ExactlyK(2), "target": None, "values": VALUES, "keys": KEYS}
    return qa.compile(SCORES, 2, **(defaults | options))


def used(made: Any) -> None:
    """Compile and solve with what was made."""
    match made:
        case qa.SoftWeights():
            compiled = compiled_with(select=made, objective="output" if made.k else "sparsemax")
        case qa.LeastSquares() | qa.Sparsemax():
            compiled = compiled_with(objective=made, select=qa.SoftWeights())
        case _ if isinstance(made, SELECTS):
            compiled = compiled_with(select=made)
        case _ if isinstance(made, OBJECTIVES):
            compiled = compiled_with(objective=made)
        case qa.Diversity() | qa.Agreement():
            compiled = compiled_with(coupling=made)
        case qa.TieVariables():
            compiled = compiled_with(tie=made)
        case qa.Head():
            compiled = qa.compile(SCORES, [made, made], target=None, values=VALUES, keys=KEYS)
        case qa.InsertPenalties():
            compiled = compiled_with(passes=(made,))
        case qa.BinarizeWeights():
            soft = {"objective": "sparsemax", "select": qa.SoftWeights()}
            compiled = compiled_with(passes=("insert-penalties", made), **soft)
        case qa.KeepOneHot():
            compiled_with(passes=("insert-penalties", made))
            return
        case qa.Quantize():
            compiled = compiled_with(passes=("insert-penalties", made))
        case qa.Canonicalize() | qa.Compress() | qa.DropCouplers() | qa.Sparsify() | qa.SplitRows():
            compiled = compiled_with(passes=(made, "insert-penalties"))
        case qa.LocalSolver():
            assert np.isfinite(compiled_with().solve(made).weights).all()
            return
        case _:
            return
    result = compiled.solve("anneal", seed=1, num_reads=2, num_sweeps=4)
    assert np.isfinite(result.weights).all()


def compiled_graph(make: Callable[..., qa.AttentionGraph]) -> Callable[..., Any]:
    """Return a call that makes a graph, compiles and solves it."""

    def call(**options: Any) -> qa.AttentionResult:
        graph = make(**options)
        if graph.shape[1] * max(graph.shape[0], 1) > 1_000:
            return None  # type: ignore[return-value]  # as many nodes as were asked for
        return qa.compile(graph, select=qa.OneHot(), target=None).solve(seed=1)

    call.__signature__ = inspect.signature(make)  # type: ignore[attr-defined]
    return call


@cache
def subjects() -> dict[str, Any]:
    """Return what the calls below are made on; made once."""
    compiled = compiled_with()
    placed = compiled_with(select=qa.OneHot(), target="zephyr:2")
    quantized = compiled_with(select=qa.OneHot(), target="all-to-all")
    part = placed.submissions[0]
    return {
        "compiled": compiled,
        "placed": placed,
        "result": compiled.solve("anneal", seed=1),
        "stages": compiled.stages,
        "program": quantized.program,
        "answers": [dimod.RandomSampler().sample(p.bqm, num_reads=2)
                    for p in compiled.submissions],
        "part": part,
        "machine": qa.SimulatedMachine("zephyr:2"),
        "embedded": dimod.RandomSampler().sample(part.embedded_bqm, num_reads=2),
    }  # fmt: skip


@cache
def small_model() -> dict[str, Any]:
    """Return a model and its inputs; nothing to run where transformers is missing."""
    try:
        from tests.support.small_models import inputs_of, model_of
    except ImportError:
        return {"model": None, "inputs": None}
    return {"model": model_of("llama"), "inputs": inputs_of("llama")}


def calls(folder: Path) -> dict[str, tuple[Callable[..., Any], dict[str, Any], set[str]]]:
    """Return public calls by name: what is called, good arguments, parameters to leave alone."""
    s = subjects()
    compiled, placed, part = s["compiled"], s["placed"], s["part"]
    stages = s["stages"]
    file = str(folder / "model.bqm")
    whole = {"scores": SCORES, "heads": 2, "target": None, "values": VALUES, "keys": KEYS}
    vectors = {"query": QUERY, "key": KEY, "value": VALUE, "bits": 1}
    bits = np.zeros((1, 6), np.int8)

    def times(**options: Any) -> object:
        return placed.schedule(**options)

    def sampled(**options: Any) -> object:
        return compiled.solve("anneal", seed=1, **options)

    def batch(**options: Any) -> list[qa.CompiledAttention]:
        return list(qa.compile_batch(**({"target": None} | options)))

    def submitted(**options: Any) -> qa.AttentionResult:
        begun: qa.Job = placed.submit(**({"reads": 2, "seed": 1} | options))
        return begun.result()

    def resumed(**options: Any) -> qa.AttentionResult:
        if not (folder / "job").exists():
            placed.submit(s["machine"], reads=2, folder=folder / "job").cancel()
        return qa.resume(**options).result()

    def streamed(**options: Any) -> list[qa.AttentionGraph]:
        return list(qa.AttentionGraph.stream_vectors(**options))

    graph = qa.AttentionGraph.from_edges([[0, 1], [0, 0]], [1.0, 2.0])
    meeting = {
        "queries": QUERY, "keys": KEY, "globals": None, "blocks": None, "block_size": 2,
        "causal": True, "kv_head": None, "scale": None,
    }  # fmt: skip
    job = {"sampler": s["machine"], "in_flight": 2, "budget": 9.0, "retry": qa.Retry(tries=1)}
    timed = {"reads": 10, "annealing_time": 20.0, "programming_thermalization": 1.0}
    local = {
        "num_reads": 2, "num_sweeps": 4, "num_sweeps_per_beta": 1, "beta_range": [0.1, 1.0],
        "beta_schedule_type": "geometric",
    }  # fmt: skip
    return {
        "compile": (qa.compile, whole, set()),
        "try_out": (
            qa.try_out, {"scores": SCORES, "k": 2, "reads": 10, "target": None, "values": VALUES},
            {"step"},
        ),
        "baseline": (qa.baseline, {"name": "window", "compiled": compiled, "window": 3}, set()),
        "calibrate": (
            partial(qa.calibrate, cache=folder),
            {"source": [qa.CapturedAttention("attn", SCORES, VALUES, KEYS)], "k": (1, 2)},
            set(),
        ),
        "Plan.load": (qa.Plan.load, {"path": folder / "plan.json"}, set()),
        # What a model does with inputs of its own is its own affair.
        "capture": (qa.capture, small_model() | {"layer": 0}, {"inputs"}),
        "compile_batch": (
            batch,
            {"items": [SCORES], "heads": 2, "window": 2, "chunk": 1, "progress": False, "seed": 0},
            set(),
        ),
        "solve": (compiled.solve, {"seed": 1}, {"before"}),
        "solve of the local sampler": (sampled, local, set()),
        "decode": (compiled.decode, {"samplesets": s["answers"]}, set()),
        "rebind": (compiled.rebind, {"scores": SCORES}, set()),
        "schedule": (times, timed, set()),
        "submit": (
            submitted,
            job | {"reads": 2, "folder": None, "label": "x", "gauges": 0, "seed": 1},
            set(),
        ),
        "resume": (resumed, job | {"folder": folder / "job", "cache": None}, set()),
        "report": (placed.report, {}, set()),
        "html": (compiled.html, {}, set()),
        "write_html": (compiled.write_html, {"path": folder / "page.html"}, set()),
        "draw": (placed.draw, {}, set()),
        "save": (compiled.save, {}, set()),
        "load": (qa.load, {"folder": folder}, set()),
        "plot": (s["result"].plot, {}, set()),
        "output_errors": (s["result"].output_errors, {"attention": compiled.attention}, set()),
        "validate of a submission": (part.validate, {}, set()),
        "diagnose": (part.diagnose, {}, set()),
        "unembed": (part.unembed, {"sampleset": s["embedded"]}, set()),
        "read": (part.read, {"sampleset": s["embedded"]}, set()),
        "export": (part.export, {"path": file}, set()),
        "read_bqm": (qa.read_bqm, {"path": file}, set()),
        "write_bqm": (qa.write_bqm, {"bqm": part.bqm, "path": file}, set()),
        "write_instances": (
            qa.write_instances,
            {"folder": folder / "made", "files": folder / "scores.npz", "count": 1,
             "sizes": (4, 8), "force": True},
            {"step"},
        ),
        "read_attention": (qa.read_attention, {"file": folder / "scores.npz"}, set()),
        "from_attentions": (
            qa.from_attentions, {"attentions": (np.full((1, 2, 3, 4), 0.25),), "layer": 0}, set(),
        ),
        **{
            name: (
                getattr(qa, name),
                {"program": compiled.program, "samples": np.zeros((1, len(compiled.program)))},
                set(),
            )
            for name in ("effective_temperature", "row_temperatures")
        },
        "embed_graph": (
            partial(qa.embed_graph, cache=folder),
            {"graph": [(0, 1)], "target": "zephyr:1", "timeout": 0.1},
            set(),
        ),
        "pack_graphs": (
            partial(qa.pack_graphs, cache=folder),
            {"graphs": [(0, 1)], "target": "zephyr:1", "copies": 1, "timeout": 0.1, "rounds": 1},
            set(),
        ),
        "integer_ising": (qa.integer_ising, {"program": s["program"]}, set()),
        "qama_program": (qa.qama_program, vectors, set()),
        "qama_decode": (qa.qama_decode, vectors | {"samples": bits}, set()),
        "validate": (
            qa.validate, {"before": stages[-2].program, "rewrite": stages[-1].rewrite}, set(),
        ),
        "stages_page": (qa.stages_page, {"stages": stages}, set()),
        "Program.parse": (qa.Program.parse, {}, set()),
        "AttentionGraph.from_edges": (
            compiled_graph(qa.AttentionGraph.from_edges),
            {"edge_index": [[0, 1], [0, 0]], "scores": [1.0, 2.0], "nodes": None, "shape": None},
            set(),
        ),
        "AttentionGraph.from_rows": (
            compiled_graph(qa.AttentionGraph.from_rows),
            {"indptr": [0, 2], "indices": [0, 1], "scores": [1.0, 2.0], "keys": 2}, set(),
        ),
        "AttentionGraph.from_csr": (qa.AttentionGraph.from_csr, {"matrices": None}, set()),
        "AttentionGraph.from_torch": (qa.AttentionGraph.from_torch, {"tensor": None}, set()),
        "AttentionGraph.from_networkx": (
            compiled_graph(qa.AttentionGraph.from_networkx),
            {"graph": nx.Graph([(0, 1, {"score": 1.0})]), "score": "score", "nodes": [0, 1]}, set(),
        ),
        "AttentionGraph.from_vectors": (
            compiled_graph(qa.AttentionGraph.from_vectors), meeting | {"window": 2}, set(),
        ),
        "AttentionGraph.stream_vectors": (streamed, meeting | {"rows": 2}, set()),
        "blocks of a graph": (lambda **o: list(graph.blocks(**o)), {"rows": 2}, set()),
        "as_given": (graph.as_given, {"column": [1.0, 2.0]}, set()),
        "TieVariables.from_kv_head": (qa.TieVariables.from_kv_head, {"kv_head": [0, 0]}, set()),
        "Target.zephyr": (qa.Target.zephyr, {"m": 2}, set()),
        "Target.pegasus": (qa.Target.pegasus, {"m": 2}, set()),
        "Target.all_to_all": (qa.Target.all_to_all, {}, set()),
        "Target.of": (qa.Target.of, {}, set()),
        "Target.from_json": (qa.Target.from_json, {}, set()),
    }  # fmt: skip


def tried(call: Callable[..., Any], good: dict[str, Any]) -> Iterator[str]:
    """Yield the names of a call's parameters: those it states, or those of the good arguments."""
    parameters = inspect.signature(call).parameters.values()
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    stated = [p.name for p in parameters if p.kind in by_name]
    yield from stated or good


def odd_errors(call: Callable[[], object]) -> str:
    """Return what a call raises that is no error of the package, or one of several lines."""
    try:
        call()
    except qa.QuboAttnError as error:
        return "a message of several lines" if "\n" in str(error) else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def text_of(value: object) -> str:
    return type(value).__name__ if isinstance(value, (Unprintable, int)) else repr(value)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that happen to be paths are paths in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QUBO_ATTN_CACHE", os.environ.get("QUBO_ATTN_CACHE", str(tmp_path)))


@pytest.mark.parametrize(
    ("made", "option"),
    [(made, option) for made in CONSTRUCTORS for option in inspect.signature(made).parameters],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_odd_options_of_constructors(made: Callable[..., Any], option: str) -> None:
    good = NEEDED.get(made, {})
    found = {
        text_of(value): problem
        for value in BAD
        if (problem := odd_errors(lambda v=value: used(made(**(good | {option: v})))))  # type: ignore[misc]
    }
    assert found == {}


def test_the_constructors_above_are_all() -> None:
    exported = {name for name in dir(qa) if inspect.isclass(getattr(qa, name))}
    records = {  # made by the package, not by users
        "Attempt", "AttentionGraph", "AttentionResult", "Beside", "BlockRound", "BlockRounds",
        "CallStatus", "CapturedAttention",
        "CompiledAttention", "Instance", "IntegerIsing", "Job", "JobStatus", "Lift", "MachineUse",
        "Optimality", "PackedGraphs", "Plan", "Program",
        "QamaResult", "Rewrite", "Rounds", "Solution",
        "SolverOrder", "Submission", "Submissions", "Target", "Trial", "Vectors",
    }  # fmt: skip
    errors = {name for name in exported if name.endswith("Error")}
    assert exported - records - errors == {made.__name__ for made in CONSTRUCTORS}


NAMES = (
    "baseline", "try_out", "capture", "calibrate", "Plan.load",
    "compile", "compile_batch", "solve", "solve of the local sampler", "decode", "rebind",
    "schedule", "submit", "resume", "report", "html", "write_html", "draw", "save", "load", "plot",
    "output_errors",
    "validate of a submission", "diagnose", "unembed", "read", "export", "read_bqm", "write_bqm",
    "AttentionGraph.from_edges", "AttentionGraph.from_rows", "AttentionGraph.from_csr",
    "AttentionGraph.from_torch", "AttentionGraph.from_networkx", "AttentionGraph.from_vectors",
    "AttentionGraph.stream_vectors", "blocks of a graph", "as_given",
    "write_instances", "read_attention", "from_attentions", "effective_temperature",
    "row_temperatures", "embed_graph", "pack_graphs", "integer_ising", "qama_program",
    "qama_decode", "validate", "stages_page", "Program.parse", "TieVariables.from_kv_head",
    "Target.zephyr", "Target.pegasus", "Target.all_to_all", "Target.of", "Target.from_json",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_odd_arguments_of_calls(name: str, tmp_path: Path) -> None:
    call, good, left = calls(tmp_path)[name]
    found = {}
    for argument in set(tried(call, good)) - left:
        for value in BAD:
            # What a sampler does with its own options is its own affair, down to its messages.
            if isinstance(value, Unprintable) and name == "solve of the local sampler":
                continue
            # A function is a good hook, however it fails.
            if value is int and argument in ("before", "after", "interrupt_function"):
                continue
            problem = odd_errors(partial(call, **(good | {argument: value})))
            if problem:
                found[argument, text_of(value)] = problem
    assert found == {}


def test_the_calls_above_are_all(tmp_path: Path) -> None:
    functions = {name for name in dir(qa) if inspect.isfunction(getattr(qa, name))}
    assert functions <= set(calls(tmp_path))
    assert set(calls(tmp_path)) == set(NAMES)
