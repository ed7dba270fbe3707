"""Passes of other packages: the one of docs/own_pass.md, and ones that are wrong."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app
from qubo_attn.common.frozen import replaced
from qubo_attn.ir.columns import Sense
from qubo_attn.passes import Embed
from qubo_attn.pipeline.pipeline import Fact, Pass, spec
from qubo_attn.registry import SHIPPED, known_passes, parse_pass, pass_named
from tests.conftest import ROOT
from tests.support.documents import blocks

FILE = str(ROOT / "fixtures" / "attention" / "minilm_d02_L1_n10.npz")


def install(folder: Path, module: str, source: str, entries: dict[str, str], name: str) -> None:
    """Do what pip does for a package of one module."""
    (folder / f"{module}.py").write_text(source)
    facts = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "\n".join(f"{entry} = {value}" for entry, value in entries.items())
    (facts / "entry_points.txt").write_text(f"[qubo_attn.passes]\n{lines}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python imports from, forgotten after the test."""
    folder, before = tmp_path / "site", set(sys.modules)
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", None)).startswith(str(folder)):
            del sys.modules[module]


@pytest.fixture
def documented(site: Path) -> Path:
    """The package of docs/own_pass.md, installed."""
    files = {block.file: block.text for block in blocks(ROOT / "docs" / "own_pass.md")}
    project = tomllib.loads(files["my-passes/pyproject.toml"])["project"]
    entries = project["entry-points"]["qubo_attn.passes"]
    install(site, "drop_sink", files["my-passes/drop_sink.py"], entries, project["name"])
    return site


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def test_it_is_listed_compiled_checked_reported_and_read_back(
    documented: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "drop-sink{key=0}  [my-passes 1.0]" in run("passes")
    listed = {entry["name"]: entry for entry in json.loads(run("passes", "--json"))}
    assert listed["drop-sink"]["summary"] == "Never keep one key, by default the first."
    assert "drop-sink{key=0}  [my-passes 1.0]" in run("compile", "--passes", "list")
    out = str(tmp_path / "out")
    options = ("--keys", "3", "--target", "none", "--passes", "drop-sink{key=2}, default")
    facts = json.loads(run("compile", FILE, *options, "--check", "--json", "-o", out))
    assert [stage["spec"] for stage in facts["stages"]][1] == "drop-sink{key=2}"
    assert facts["stages"][1]["notes"] == ["120 keys dropped"]
    assert "drop-sink" in run("inspect", out)
    loaded = qa.load(out)
    assert spec(loaded.recipe.passes[0]) == "drop-sink{key=2}"
    result = loaded.solve("anneal", seed=1)
    assert result.feasible.all()
    assert not result.selected[..., 2].any()
    again = loaded.rebind(loaded.attention.logits * 0.9)
    assert [stage.name for stage in again.stages] == [stage.name for stage in loaded.stages]
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.path.remove(str(documented))
    with pytest.raises(qa.PassError, match=r"pass 'drop-sink' of my-passes 1\.0 is not installed"):
        qa.load(out)
    assert "install it to read what it made" in run("inspect", out, code=7)


@pytest.mark.usefixtures("documented")
def test_it_keeps_the_promises_of_passes(minilm: dict[str, np.ndarray]) -> None:
    drop = pass_named("drop-sink")
    assert isinstance(drop(), Pass)
    small = qa.compile(minilm["scores"][:2, :1, :7], 2, select=qa.ExactlyK(2), target=None)
    before = small.stages[0].program
    rewrite = drop().apply(before)
    qa.validate(before, rewrite)
    assert {int(key) for key in rewrite.program.variables.key} == set(range(1, 7))
    values, scores = minilm["value"], minilm["scores"]
    options = {"select": qa.ExactlyK(3), "objective": "output", "values": values, "target": None}
    named = qa.compile(scores, 12, passes=["drop-sink", "default"], verify_each=True, **options)
    itself = qa.compile(scores, 12, passes=[drop(), "default"], **options)
    text = qa.compile(scores, 12, passes="drop-sink, default", **options)
    assert named.program.same(itself.program)
    assert named.program.same(text.program)
    # As if the key had been forbidden from the start.
    forbidden = np.zeros(scores.shape, bool)
    forbidden[..., 0] = True
    other = qa.compile(scores, 12, forbidden=forbidden, **options)
    assert np.array_equal(
        named.solve("anneal", seed=2).selected, other.solve("anneal", seed=2).selected
    )


@pytest.mark.usefixtures("documented")
def test_where_it_may_stand_is_checked() -> None:
    text = run("compile", FILE, "--passes", "default, drop-sink", "-o", "unused", code=7)
    assert "put drop-sink before insert-penalties" in text
    with pytest.raises(qa.InfeasibleError, match=r"pick\[0,0\] cannot hold"):
        qa.compile(
            np.zeros((1, 1, 4)), 1, select=qa.ExactlyK(4), passes="drop-sink, canonicalize, default"
        )


LIAR = """
from dataclasses import dataclass
from qubo_attn import Lift, Rewrite
from qubo_attn.ir.program import Quadratic

@dataclass(frozen=True)
class Liar:
    '''Double every field and say nothing.'''
    name = "liar"
    needs = ensures = breaks = frozenset()
    def apply(self, program):
        o = program.objective
        form = Quadratic(o.offset, 2 * o.linear, o.i, o.j, o.bias)
        return Rewrite(program.replace(objective=form), Lift.identity(len(program)))

class Bare:
    name = "bare"

@dataclass(frozen=True)
class Keeper:
    '''Keep something that no folder can hold.'''
    held: object = object
    name = "keeper"
    needs = ensures = breaks = frozenset()
    def apply(self, program):
        return Rewrite(program, Lift.identity(len(program)))
"""


def test_wrong_ones_are_named(site: Path, tmp_path: Path) -> None:
    entries = {
        "liar": "liar:Liar",
        "bare": "liar:Bare",
        "other": "liar:Liar",
        "gone": "nowhere:Pass",
        "keeper": "liar:Keeper",
    }
    install(site, "liar", LIAR, entries, "liars")
    out = ("--target", "none", "-o", str(tmp_path / "out"))
    text = run("compile", FILE, "--passes", "liar, default", "--check", *out, code=8)
    assert "energy changes by" in text
    problems = {known.name: known.problem for known in known_passes()}
    assert problems["liar"] == problems["keeper"] == ""
    for name, message in {
        "bare": "pass 'bare' of liars 1.0 lacks needs, ensures, breaks, apply: liar:Bare",
        "other": "calls itself 'liar'; register it by its own name",
        "gone": "pass 'gone' of liars 1.0 does not load: ModuleNotFoundError",
    }.items():
        assert message in problems[name]
        assert message in run("compile", FILE, "--passes", name, *out, code=7)
        assert message in run("passes")
    assert "keeper cannot be saved" in run("compile", FILE, "--passes", "keeper", *out, code=3)


def test_one_name_of_two_packages_is_refused(site: Path) -> None:
    install(site, "liar", LIAR, {"liar": "liar:Liar"}, "liars")
    install(site, "thief", LIAR, {"liar": "thief:Liar"}, "thieves")
    with pytest.raises(qa.PassError, match=r"liars 1\.0 and thieves 1\.0 both bring a pass 'liar'"):
        pass_named("liar")


@dataclass(frozen=True)
class _Inline:
    name: ClassVar[str] = "inline"
    needs: ClassVar[frozenset[Fact]] = frozenset()
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset()

    def apply(self, program: qa.Program) -> qa.Rewrite:
        return qa.Rewrite(program, qa.Lift.identity(len(program)))


def test_one_that_is_not_registered_compiles_but_cannot_be_saved(tmp_path: Path) -> None:
    compiled = qa.compile(np.eye(10), 1, passes=[_Inline(), "default"], target=None)
    assert compiled.stages[1].name == "inline"
    with pytest.raises(qa.InputError, match="_Inline cannot be saved"):
        compiled.save(tmp_path / "out")


@pytest.mark.parametrize(
    "pass_",
    [
        qa.Sparsify(slots=12, nucleus=0.9, sizes=(3, 5)),
        qa.TieVariables(groups=((0, 1), (2, 3)), strength=0.5),
        qa.BinarizeWeights("unary", "pegasus"),
        qa.InsertPenalties(linear=True, at_most="unary"),
        qa.DropCouplers(budget=1e-3),
        qa.Compress(7),
        qa.Quantize(),
        qa.Canonicalize(),
    ],
)
def test_what_reports_print_reads_back(pass_: Any) -> None:
    assert parse_pass(spec(pass_)) == pass_


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sparsify{slots=12", "lacks its closing brace"),
        ("sparsify{12}", "options are name=value"),
        ("sparsify{slots=12}}", "options|makes no pass|slots"),
        ("embd", r"^unknown pass 'embd'\. All are listed"),
        ("tie-variable", "did you mean 'tie-variables'"),
    ],
)
def test_texts_that_make_no_pass(text: str, message: str) -> None:
    with pytest.raises((qa.PassError, qa.InputError), match=message):
        parse_pass(text)


def test_what_is_no_pass_is_named() -> None:
    wrongs: tuple[Any, ...] = (qa.Sparsify, 3)
    for wrong in wrongs:
        with pytest.raises(qa.PassError, match="is no pass and no name of one"):
            qa.compile(np.eye(3), 1, passes=[wrong], target=None)


def test_every_shipped_pass_is_known() -> None:
    shipped = {getattr(qa.passes, name) for name in qa.passes.__all__} - {Embed}
    assert set(SHIPPED.values()) == shipped


def test_a_pass_that_leaves_indices_out_of_range_is_named() -> None:
    """Kernels take indices as they are: none runs on a program with such ones."""

    @dataclass(frozen=True)
    class Astray:
        name: ClassVar[str] = "astray"
        needs: ClassVar[frozenset[Fact]] = frozenset()
        ensures: ClassVar[frozenset[Fact]] = frozenset()
        breaks: ClassVar[frozenset[Fact]] = frozenset()

        def apply(self, program: qa.Program) -> qa.Rewrite:
            rows = replaced(program.constraints, var=program.constraints.var + 1)
            lift = qa.Lift.identity(len(program))
            return qa.Rewrite(program.replace(constraints=rows), lift)

    with pytest.raises(qa.VerifyError, match=r"row-range at pick\[0,0\]") as caught:
        qa.compile([[[2.0, 1.0, 0.5]]], 1, passes=[Astray(), "default"], target=None)
    assert caught.value.__notes__ == ["in pass astray"]


def test_a_select_of_ones_own_may_give_one_count_for_all_rows() -> None:
    class Two:
        sense, levels = Sense.EQ, 1

        def counts(self, sizes: np.ndarray) -> Any:
            return np.array([2])

    compiled = qa.compile(np.arange(12.0).reshape(1, 3, 4), 1, select=Two(), target=None)
    assert compiled.stages[0].program.constraints.rhs.tolist() == [2.0, 2.0, 2.0]
