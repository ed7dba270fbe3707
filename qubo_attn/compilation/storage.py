"""Artifacts on disk: ``artifact.json`` for facts, ``arrays.npz`` for columns; never pickle."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from qubo_attn._version import __version__
from qubo_attn.common.arrays import Array
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.embedding.placement import Placement
from qubo_attn.errors import InputError, PassError
from qubo_attn.formulations.certificates import Certificates
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.coupling import Agreement, Diversity
from qubo_attn.frontend.objectives import OBJECTIVES
from qubo_attn.frontend.select import AtMostK, Budget, ExactlyK, OneHot, SoftWeights, Unconstrained
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program, unpriced
from qubo_attn.machine.target import Target
from qubo_attn.passes import Embed
from qubo_attn.pipeline.pipeline import Stage
from qubo_attn.pipeline.rewrite import Rewrite
from qubo_attn.registry import SHIPPED, package_of, pass_named

# 2: a program that a pass left alone is not written again; certificates.
# 3: the chain strength stands beside the embedding.
FORMAT = 3
_CHOICES = (AtMostK, Budget, ExactlyK, OneHot, SoftWeights, Unconstrained, Agreement, Diversity)
_KNOWN: dict[str, type] = {**SHIPPED, **OBJECTIVES, **{c.__name__: c for c in _CHOICES}}
# Fields that are saved by name.
_ATTENTION = ("logits", "values", "keys", "required", "forbidden", "missing")
_STAGE = ("name", "spec", "seconds", "peak")
_REWRITE = ("margin", "restricts", "notes", "error")
_PROVEN = ("index", "margin", "method", "upper", "lower", "witness")
_CHOSEN = ("selects", "objectives", "passes", "couplings")
_EMBED = ("rounds", "seed", "longest_chain")
_TARGET = ("topology", "shape", "label", "properties", "names")
_PLACED = ("submission", "component", "chain_ptr", "chain_qubit")


def save(compiled: Compilation, folder: Path) -> None:
    """Write ``compiled``; see `CompiledAttention.save`."""
    facts = {"format": FORMAT, "version": __version__, **_facts(compiled)}
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder", folder=str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Array] = {}

    def put(prefix: str, columns: Mapping[str, Array | None]) -> None:
        arrays.update({f"{prefix}/{k}": a for k, a in columns.items() if a is not None})

    attention, recipe = compiled.attention, compiled.recipe
    put("attention", {name: getattr(attention, name) for name in _ATTENTION})
    put("recipe", {"mask": recipe.mask, "kv_head": recipe.kv_head})
    before: Program | None = None
    for index, stage in enumerate(compiled.stages):
        # A pass that leaves the program alone leaves no second copy, which could come to differ.
        if stage.program is not before:
            put(f"stage{index}", stage.program.arrays())
        before = stage.program
        put(f"lift{index}", stage.lift.arrays())
        if stage.rewrite.certificates is not None:
            put(f"certificates{index}", _proofs(stage.rewrite.certificates, stage.program))
    if recipe.target is not None:
        put("target", {"qubits": recipe.target.qubits, "couplers": recipe.target.couplers})
    if compiled.placement is not None:
        put("placement", {name: getattr(compiled.placement, name) for name in _PLACED})
    np.savez_compressed(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
    (folder / "artifact.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def _proofs(certificates: Certificates, priced: Program) -> dict[str, Array]:
    """Return certificates as arrays; weights stand in the priced program, and only there."""
    arrays = {name: getattr(certificates, name) for name in _PROVEN}
    arrays["steps"], index = np.array(certificates.steps), certificates.index
    alike = certificates.program.same(unpriced(priced))
    if not alike or not np.array_equal(priced.constraints.weight[index], certificates.weight):
        own = certificates.program.arrays()
        arrays |= {"weight": certificates.weight, "slope": certificates.slope}
        arrays |= {f"program/{name}": array for name, array in own.items()}
    return arrays


def _certificates(arrays: dict[str, Array], priced: Program) -> Certificates | None:
    """Return the certificates behind `_proofs`; None where the stage left none."""
    if not arrays:
        return None
    columns = {name: arrays[name] for name in _PROVEN}
    program, prices = unpriced(priced), priced.constraints
    weight, slope = prices.weight[columns["index"]], prices.slope[columns["index"]]
    if "weight" in arrays:
        start = "program/"
        own = {k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)}
        program, weight, slope = Program.from_arrays(own), arrays["weight"], arrays["slope"]
    return Certificates(program, weight=weight, slope=slope, steps=int(arrays["steps"]), **columns)


def _facts(compiled: Compilation) -> dict[str, Any]:
    recipe, placement = compiled.recipe, compiled.placement
    stages = [
        _named(stage, _STAGE) | _named(stage.rewrite, _REWRITE) | {"bound": stage.rewrite.prove()}
        for stage in compiled.stages
    ]
    return {
        "stages": stages,
        "hidden_by_value": compiled.attention.hidden_by_value,
        **{group: [_choice(entry) for entry in getattr(recipe, group)] for group in _CHOSEN},
        "embed": None if recipe.embed is None else _named(recipe.embed, _EMBED),
        "chain_strength": recipe.chain_strength,
        "target": None if recipe.target is None else _named(recipe.target, _TARGET),
        "placement": None if placement is None else {"structure": placement.structure},
    }


def _named(thing: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _plain(getattr(thing, name)) for name in names}


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
    options = tuple(field.name for field in dataclasses.fields(thing))
    facts = {"name": name, "package": package, "options": _named(thing, options)}
    if not ours and _chosen(facts) != thing:
        raise InputError(
            f"{name} cannot be saved: its options are not numbers, texts and tuples of such",
            name=name,
        )
    return facts


def _chosen(facts: dict[str, Any]) -> Any:
    """Return what `_choice` described."""
    name = facts["name"]
    if name not in _KNOWN and not package_of(name):
        raise PassError(
            f"pass {name!r} of {facts.get('package') or 'another version'} is not installed here; "
            "install it to read what it made",
            name=name,
        )
    return (_KNOWN.get(name) or pass_named(name))(**_tuples(facts["options"]))


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON holds it; what JSON cannot hold is named."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [
            _plain(entry)
            for entry in (sorted(value) if isinstance(value, (set, frozenset)) else value)
        ]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def load(folder: Path, cache: EmbeddingCache | None) -> Compilation:
    """Read an artifact; see `qubo_attn.load`."""
    try:
        facts = json.loads((folder / "artifact.json").read_text())
        with (folder / "arrays.npz").open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            arrays = {name: file[name] for name in file.files}
        if facts["format"] not in range(1, FORMAT + 1):
            raise ValueError(f"format {facts['format']} is not 1 to {FORMAT}")
        return _build(facts, arrays, cache)
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile, zlib.error) as error:
        raise InputError(
            f"{folder} holds no readable artifact ({error!r}); save it anew", folder=str(folder)
        ) from error


def _build(
    facts: dict[str, Any], arrays: dict[str, Array], cache: EmbeddingCache | None
) -> Compilation:
    def group(prefix: str) -> dict[str, Any]:
        start = f"{prefix}/"
        return {k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)}

    target = _target(facts["target"], group("target"))
    placement = None
    if facts["placement"] is not None and target is not None:
        structure = facts["placement"]["structure"]
        placement = Placement(target, structure=structure, **group("placement"))
    stages: list[Stage] = []
    for index, stage in enumerate(facts["stages"]):
        columns = group(f"stage{index}")
        program = Program.from_arrays(columns) if columns else stages[-1].program
        rewrite = Rewrite(
            program,
            Lift.from_arrays(group(f"lift{index}")),
            bound=stage["bound"],
            certificates=_certificates(group(f"certificates{index}"), program),
            placement=placement if index == len(facts["stages"]) - 1 else None,
            **{name: _tuples(stage[name]) for name in _REWRITE if name in stage},
        )
        stages.append(Stage(rewrite=rewrite, **{name: stage.get(name) for name in _STAGE}))
    attention = {
        name: columns for name, columns in group("attention").items() if name in _ATTENTION
    }
    recipe = _recipe(facts, group("recipe"), target, cache)
    by_value = int(facts.get("hidden_by_value", 0))
    return Compilation(Attention(**attention, hidden_by_value=by_value), recipe, tuple(stages))


def _recipe(
    facts: dict[str, Any],
    arrays: dict[str, Any],
    target: Target | None,
    cache: EmbeddingCache | None,
) -> Recipe:
    embed, strength = None, facts.get("chain_strength", "auto")
    if facts["embed"] is not None and target is not None:
        options = dict(facts["embed"])
        # Before format 3 it was an option of the embedding.
        strength = options.pop("chain_strength", strength)
        embed = Embed(target, EmbeddingCache() if cache is None else cache, **options)
    groups: dict[str, Any] = {
        name: tuple(_chosen(entry) for entry in facts.get(name, ())) for name in _CHOSEN
    }
    return Recipe(embed=embed, target=target, chain_strength=strength, **groups, **arrays)


def _target(facts: dict[str, Any] | None, arrays: dict[str, Any]) -> Target | None:
    if facts is None:
        return None
    return Target(**_tuples(facts) | {"properties": facts["properties"]} | arrays)


def _tuples(value: Any) -> Any:
    """Return JSON's lists as the tuples they were."""
    if isinstance(value, list):
        return tuple(_tuples(entry) for entry in value)
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return value
