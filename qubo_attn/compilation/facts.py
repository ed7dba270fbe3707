"""Facts of an artifact as JSON holds them: what was chosen, and what each stage said."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from qubo_attn._version import __version__
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.errors import InputError, PassError
from qubo_attn.frontend.coupling import Agreement, Diversity
from qubo_attn.frontend.objectives import OBJECTIVES
from qubo_attn.frontend.select import AtMostK, Budget, ExactlyK, OneHot, SoftWeights, Unconstrained
from qubo_attn.registry import SHIPPED, package_of, pass_named

# 2: a program that a pass left alone is not written again; certificates.
# 3: the chain strength stands beside the embedding.
# 4: checksums; the arrays bring the facts along.
# 5: copies of rows, and whether they were asked for.
FORMAT = 5
_CHOICES = (AtMostK, Budget, ExactlyK, OneHot, SoftWeights, Unconstrained, Agreement, Diversity)
_KNOWN: dict[str, type] = {**SHIPPED, **OBJECTIVES, **{c.__name__: c for c in _CHOICES}}

# What each record holds: the kind of each entry, "?" where it may be null.
_ARTIFACT = {
    "format": "whole",
    "version": "text",
    "arrays": "record",
    "digest": "text",
    "hidden_by_value": "whole",
    "stages": "list",
    "selects": "list",
    "objectives": "list",
    "passes": "list",
    "couplings": "list",
    "embed": "record?",
    "chain_strength": "any",
    "replicas": "text?",
    "target": "record?",
    "placement": "record?",
}
_STAGE = {"name": "text", "spec": "text", "seconds": "number", "peak": "number?"}
_REWRITE = {"margin": "number", "restricts": "flag", "notes": "texts", "error": "number"}
_STAGES = _STAGE | _REWRITE | {"bound": "number"}
_CHOICE = {"name": "text", "package": "text", "options": "record"}
_EMBED = {"rounds": "whole", "seed": "whole", "longest_chain": "whole?"}
_TARGET = {
    "topology": "text",
    "shape": "wholes",
    "label": "text",
    "properties": "record",
    "names": "list?",
}
_PLACEMENT = {"structure": "text"}
GROUPS = ("selects", "objectives", "passes", "couplings")


def facts_of(compiled: Compilation) -> dict[str, Any]:
    """Return the facts of a compilation; `InputError` names a choice that cannot be read back."""
    recipe, placement = compiled.recipe, compiled.placement
    stages = [
        _named(stage, _STAGE) | _named(stage.rewrite, _REWRITE) | {"bound": stage.rewrite.prove()}
        for stage in compiled.stages
    ]
    return {
        "format": FORMAT,
        "version": __version__,
        "hidden_by_value": compiled.attention.hidden_by_value,
        "stages": stages,
        **{group: [_choice(entry) for entry in getattr(recipe, group)] for group in GROUPS},
        "embed": None if recipe.embed is None else _named(recipe.embed, _EMBED),
        "chain_strength": plain(recipe.chain_strength),
        "replicas": recipe.replicas,
        "target": None if recipe.target is None else _named(recipe.target, _TARGET),
        "placement": None if placement is None else _named(placement, _PLACEMENT),
    }


def check_facts(facts: Any) -> None:
    """Check that every record of facts holds what it should.

    Raises:
        InputError: one does not, or another version wrote them; names it.
    """
    version = facts.get("format") if isinstance(facts, dict) else None
    if version != FORMAT:
        by = facts.get("version") if isinstance(facts, dict) else None
        raise InputError(
            f"it has format {version!r} (of qubo-attn {by!r}), and this version reads {FORMAT}: "
            "compile again"
        )
    _record("", facts, _ARTIFACT)
    for index, stage in enumerate(facts["stages"]):
        _record(f"stages[{index}].", stage, _STAGES)
    for group in GROUPS:
        for index, entry in enumerate(facts[group]):
            _record(f"{group}[{index}].", entry, _CHOICE)
    for name, fields in (("embed", _EMBED), ("target", _TARGET), ("placement", _PLACEMENT)):
        if facts[name] is not None:
            _record(f"{name}.", facts[name], fields)
    steps = len(facts["passes"]) + (facts["embed"] is not None)
    if len(facts["stages"]) != 1 + steps:
        raise InputError(f"it has {len(facts['stages'])} stages of {steps} passes")
    placed = facts["placement"] is not None
    if placed and (facts["embed"] is None or facts["target"] is None):
        raise InputError("it has a placement, and no machine")


def chosen(facts: dict[str, Any]) -> Any:
    """Return the select, objective, coupling or pass that an entry describes.

    Raises:
        PassError: no package here has it.
    """
    name = facts["name"]
    if name not in _KNOWN and not package_of(name):
        raise PassError(
            f"pass {name!r} of {facts['package'] or 'another version'} is not installed here; "
            "install it to read what it made",
            name=name,
        )
    return (_KNOWN.get(name) or pass_named(name))(**tuples(facts["options"]))


def rewrite_facts(stage: dict[str, Any]) -> dict[str, Any]:
    """Return what a stage says of its rewrite, as arguments of `Rewrite`."""
    return {name: tuples(stage[name]) for name in (*_REWRITE, "bound")}


def stage_facts(stage: dict[str, Any]) -> dict[str, Any]:
    """Return what a stage says of itself, as arguments of `Stage`."""
    return {name: stage[name] for name in _STAGE}


def plain(value: Any) -> Any:
    """Return ``value`` as JSON holds it; what JSON cannot hold is named."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (set, frozenset)):
        return [plain(entry) for entry in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def tuples(value: Any) -> Any:
    """Return JSON's lists as the tuples they were."""
    if isinstance(value, list):
        return tuple(tuples(entry) for entry in value)
    if isinstance(value, dict):
        return {key: tuples(entry) for key, entry in value.items()}
    return value


def _named(thing: object, names: Mapping[str, str]) -> dict[str, Any]:
    return {name: plain(getattr(thing, name)) for name in names}


def _choice(thing: Any) -> dict[str, Any]:
    """Return a select, objective, coupling or pass as JSON holds it, with its package."""
    name = getattr(thing, "name", type(thing).__name__)
    ours = _KNOWN.get(name) is type(thing)
    package = "qubo-attn" if ours else package_of(name)
    if not package or not (ours or pass_named(name) is type(thing)):
        raise InputError(
            f"{type(thing).__name__} cannot be saved: only what qubo_attn ships can be read back, "
            "and passes that a package registers as entry points (docs/own_pass.md)",
            name=name,
        )
    options = {field.name: plain(getattr(thing, field.name)) for field in dataclasses.fields(thing)}
    facts = {"name": name, "package": package, "options": options}
    if not ours and chosen(facts) != thing:
        raise InputError(
            f"{name} cannot be saved: its options are not numbers, texts and tuples of such",
            name=name,
        )
    return facts


def _record(where: str, record: Any, fields: Mapping[str, str]) -> None:
    """Check that a record has the given entries, no others, each of its kind."""
    if not isinstance(record, dict):
        raise InputError(f"{where[:-1]} is no record")
    for name in record.keys() - fields.keys():
        raise InputError(f"{where}{name} is no part of an artifact")
    for name, kind in fields.items():
        value, needed = record.get(name), not kind.endswith("?")
        if name not in record or not ((value is None and not needed) or _is(kind, value)):
            shown = repr(value)[:40]
            raise InputError(f"{where}{name} must be a {kind.rstrip('?')}, not {shown}")


def _is(kind: str, value: Any) -> bool:
    kind = kind.rstrip("?")
    if kind in ("texts", "wholes"):
        return isinstance(value, list) and all(_is(kind[:-1], entry) for entry in value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {
        "whole": number and isinstance(value, int) and 0 <= value < 1 << 63,
        "number": number and value == value,  # not NaN
        "text": isinstance(value, str),
        "flag": isinstance(value, bool),
        "list": isinstance(value, list),
        "record": isinstance(value, dict),
        "any": True,
    }[kind]
