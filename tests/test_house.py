"""The house rules that can be read off the sources; CONTRIBUTING.md states them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median

from tests.conftest import ROOT

FILES = sorted(
    file.relative_to(ROOT)
    for folder in ("passes", "qubo_attn")
    for file in (ROOT / folder).rglob("*.py")
    if not file.is_relative_to(ROOT / "qubo_attn" / "passes")  # the link to passes/
)
# What the arguments of a function may be whose results are kept for the life of the process.
SMALL = {"int", "str", "float", "bool", "bytes", "tuple[int, ...]", "Lattice"}
# Methods of a dict that change it.
WRITES = {"clear", "pop", "popitem", "setdefault", "update", "__setitem__", "__delitem__"}


@cache
def text_of(file: Path) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(text_of(file))


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    return ((file, node) for file in FILES for node in ast.walk(tree_of(file)))


def classes() -> Iterator[tuple[str, set[str]]]:
    """Return every class by file and name, with the methods and properties that it states."""
    for file, node in nodes():
        if isinstance(node, ast.ClassDef):
            names = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            yield f"{file}: {node.name}", names


# -- sizes -----------------------------------------------------------------------------------------


def test_few_files_stand_beside_the_folders() -> None:
    top = [file for file in FILES if file.parent == Path("qubo_attn")]
    assert len(top) <= 8, top


def test_a_file_is_one_idea() -> None:
    lengths = {str(file): text_of(file).count("\n") for file in FILES}
    assert {file: length for file, length in lengths.items() if length > 350} == {}
    assert median(lengths.values()) < 130


def test_a_class_has_few_members() -> None:
    public = {name: [m for m in members if m[0] != "_"] for name, members in classes()}
    large = {name: len(members) for name, members in public.items() if len(members) > 20}
    assert large == {}


# -- no hidden state -------------------------------------------------------------------------------


def test_objects_write_their_own_fields_alone() -> None:
    """Other objects' fields may be read through ``vars``; nothing writes into them that way."""

    def is_foreign(node: ast.expr) -> bool:
        match node:
            case ast.Attribute(value=owner, attr="__dict__"):
                return ast.unparse(owner) != "self"
            case ast.Call(func=ast.Name(id="vars"), args=[owner]):
                return ast.unparse(owner) != "self"
        return False

    found = []
    for file, node in nodes():
        match node:
            case ast.Subscript(value=target, ctx=ast.Store() | ast.Del()) if is_foreign(target):
                found.append(f"{file}:{node.lineno}")
            case ast.AugAssign(target=target) if is_foreign(target):
                found.append(f"{file}:{node.lineno}")
            case ast.Call(func=ast.Attribute(value=target, attr=method)) if is_foreign(target):
                found += [f"{file}:{node.lineno}"] if method in WRITES else []
    assert found == []


def test_nothing_refers_weakly() -> None:
    found = []
    for file, node in nodes():
        if isinstance(node, (ast.Import, ast.ImportFrom)) and "weakref" in ast.unparse(node):
            found.append(f"{file}:{node.lineno}")
    assert found == []


def test_attributes_are_declared() -> None:
    """No class answers for attributes that it does not have."""
    hooks = {"__getattr__", "__getattribute__"}
    assert [name for name, members in classes() if members & hooks] == []


def test_objects_are_made_by_their_classes() -> None:
    """Frozen classes set their fields while they are made, and nothing skips their making."""
    makers = {
        inner
        for _, node in nodes()
        if isinstance(node, ast.FunctionDef) and node.name in ("__init__", "__post_init__")
        for inner in ast.walk(node)
    }
    found = []
    for file, node in nodes():
        match node:
            case ast.Attribute(value=ast.Name(id="object"), attr="__new__"):
                found.append(f"{file}:{node.lineno}")
            case ast.Attribute(value=ast.Name(id="object"), attr="__setattr__"):
                found += [] if node in makers else [f"{file}:{node.lineno}"]
    assert found == []


def test_kept_results_depend_on_small_values() -> None:
    """A function that keeps its results keeps its arguments alive as well."""
    found = {}
    for file, node in nodes():
        if not isinstance(node, ast.FunctionDef):
            continue
        decorators = {ast.unparse(decorator).split("(")[0] for decorator in node.decorator_list}
        if decorators & {"cache", "lru_cache", "functools.cache", "functools.lru_cache"}:
            arguments = [a for a in node.args.args + node.args.kwonlyargs if a.arg != "cls"]
            kinds = {ast.unparse(a.annotation) for a in arguments if a.annotation}
            found[f"{file}: {node.name}"] = sorted(kinds - SMALL)
    assert {name: kinds for name, kinds in found.items() if kinds} == {}
