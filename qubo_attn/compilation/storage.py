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
from qubo_attn.pipeline.pipeline import Pass, Stage
from qubo_attn.pipeline.rewrite import Rewrite
from qubo_attn.registry import SHIPPED, package_of, pass_named

# 2: a program that a pass left alone is not written again; certificates.
# 3: the chain strength stands beside the embedding.
FORMAT = 3
_SELECTS = {s.__name__: s for s in (AtMostK, Budget, ExactlyK, OneHot, SoftWeights, Unconstrained)}
_COUPLINGS = {c.__name__: c for c in (Agreement, Diversity)}

_KNOWN: dict[str, type] = {**SHIPPED, **_SELECTS, **OBJECTIVES, **_COUPLINGS}


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


_PROVEN = ("index", "margin", "method", "upper", "lower", "witness")
_ATTENTION = ("logits", "values", "keys", "required", "forbidden")
_PLACED = ("submission", "component", "chain_ptr", "chain_qubit")


def _facts(compiled: Compilation) -> dict[str, Any]:
    recipe, placement, target = compiled.recipe, compiled.placement, compiled.recipe.target
    return {
        "stages": [
            {
                "name": stage.name,
                "spec": stage.spec,
                "seconds": stage.seconds,
                "peak": stage.peak,
                "bound": stage.rewrite.prove(),
                "margin": stage.rewrite.margin,
                "error": stage.rewrite.error,
                "restricts": stage.rewrite.restricts,
                "notes": list(stage.rewrite.notes),
            }
            for stage in compiled.stages
        ],
        "selects": [_options(type(select).__name__, select) for select in recipe.selects],
        "objectives": [_options(objective.name, objective) for objective in recipe.objectives],
        "passes": [_pass_options(pass_) for pass_ in recipe.passes],
        "couplings": [_options(type(entry).__name__, entry) for entry in recipe.couplings],
        "embed": None
        if recipe.embed is None
        else {
            "rounds": recipe.embed.rounds,
            "seed": recipe.embed.seed,
            "longest_chain": _plain(recipe.embed.longest_chain),
        },
        "chain_strength": recipe.chain_strength,
        "target": None
        if target is None
        else {
            "topology": target.topology,
            "shape": list(target.shape),
            "label": target.label,
            "properties": _plain(target.properties),
            "names": None if target.names is None else [_plain(name) for name in target.names],
        },
        "placement": None if placement is None else {"structure": placement.structure},
    }


def _options(name: str, thing: object) -> dict[str, Any]:
    fields = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
    if name not in _KNOWN or type(thing) is not _KNOWN[name]:
        raise InputError(
            f"{type(thing).__name__} cannot be saved: only what qubo_attn ships can be read back",
            name=name,
        )
    return {"name": name, "options": {f.name: _plain(getattr(thing, f.name)) for f in fields}}


def _pass_options(pass_: Pass) -> dict[str, Any]:
    """Return a pass as JSON holds it; one of another package says which that is."""
    if pass_.name in SHIPPED:
        return _options(pass_.name, pass_)
    facts: dict[str, Any] = {"name": pass_.name, "package": package_of(pass_.name)}
    if not facts["package"] or pass_named(pass_.name) is not type(pass_):
        raise InputError(
            f"{type(pass_).__name__} cannot be saved: only what qubo_attn ships can be read back, "
            "and passes that a package registers as entry points (docs/own_pass.md)",
            name=pass_.name,
        )
    options = dataclasses.fields(pass_)  # type: ignore[arg-type]  # the registry takes no other
    facts["options"] = {field.name: _plain(getattr(pass_, field.name)) for field in options}
    if type(pass_)(**_tuples(facts["options"])) != pass_:
        raise InputError(
            f"{pass_.name} cannot be saved: its options are not numbers, texts and tuples of such",
            name=pass_.name,
        )
    return facts


def _saved_pass(facts: dict[str, Any]) -> Pass:
    """Return the pass behind `_pass_options`."""
    name = facts["name"]
    if not package_of(name):
        raise PassError(
            f"pass {name!r} of {facts.get('package') or 'another version'} is not installed here; "
            "install it to read what it made",
            name=name,
        )
    return pass_named(name)(**_tuples(facts["options"]))


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
    def group(prefix: str) -> dict[str, Array]:
        start = f"{prefix}/"
        return {k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)}

    target = _target(facts["target"], group("target"))
    placement = None
    if facts["placement"] is not None and target is not None:
        structure = facts["placement"]["structure"]
        placement = Placement(target, structure=structure, **group("placement"))
    last = len(facts["stages"]) - 1
    programs: list[Program] = []
    for index in range(last + 1):
        columns = group(f"stage{index}")
        programs.append(Program.from_arrays(columns) if columns else programs[-1])
    stages = tuple(
        Stage(
            stage["name"],
            stage["spec"],
            Rewrite(
                programs[index],
                Lift.from_arrays(group(f"lift{index}")),
                stage["bound"],
                stage["margin"],
                stage["restricts"],
                tuple(stage["notes"]),
                _certificates(group(f"certificates{index}"), programs[index]),
                placement if index == last else None,
                error=stage.get("error", 0.0),
            ),
            stage["seconds"],
            stage.get("peak"),
        )
        for index, stage in enumerate(facts["stages"])
    )
    attention = group("attention")
    return Compilation(
        Attention(*(attention.get(name) for name in _ATTENTION)),  # type: ignore[arg-type]
        _recipe(facts, group("recipe"), target, cache),
        stages,
    )


def _recipe(
    facts: dict[str, Any],
    arrays: dict[str, Array],
    target: Target | None,
    cache: EmbeddingCache | None,
) -> Recipe:
    embed, strength = None, facts.get("chain_strength", "auto")
    if facts["embed"] is not None and target is not None:
        options = dict(facts["embed"])
        # Before format 3 it was an option of the embedding.
        strength = options.pop("chain_strength", strength)
        embed = Embed(target, EmbeddingCache() if cache is None else cache, **options)
    return Recipe(
        tuple(_SELECTS[entry["name"]](**entry["options"]) for entry in facts["selects"]),
        tuple(
            OBJECTIVES[entry["name"]](**_tuples(entry["options"])) for entry in facts["objectives"]
        ),
        tuple(_saved_pass(entry) for entry in facts["passes"]),
        embed,
        target,
        mask=arrays.get("mask"),
        kv_head=arrays.get("kv_head"),
        couplings=tuple(
            _COUPLINGS[entry["name"]](**_tuples(entry["options"]))
            for entry in facts.get("couplings", ())
        ),
        chain_strength=strength,
    )


def _target(facts: dict[str, Any] | None, arrays: dict[str, Array]) -> Target | None:
    if facts is None:
        return None
    names = facts["names"]
    return Target(
        facts["topology"],
        tuple(facts["shape"]),
        arrays["qubits"],
        arrays["couplers"],
        facts["properties"],
        facts["label"],
        None if names is None else tuple(_tuples(name) for name in names),
    )


def _tuples(value: Any) -> Any:
    """Return JSON's lists as the tuples they were."""
    if isinstance(value, list):
        return tuple(_tuples(entry) for entry in value)
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return value
