"""Artifacts on disk: ``artifact.json`` for facts, ``arrays.npz`` for columns; never pickle.

The facts hold a checksum of every array, and one of themselves. The arrays bring the same facts
along: ``arrays.npz`` is whole on its own, and becomes the artifact at the moment at which it is
renamed; ``artifact.json`` follows. A reader that finds the two apart while a save is under way, or
after one was killed, goes by the arrays; else it refuses a mixture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Array, digest_of
from qubo_attn.common.files import (
    is_written,
    read_bytes,
    read_file,
    reason_of,
    under_way,
    write_file,
    write_files,
    writing,
)
from qubo_attn.common.npz import ROOM, packed, unpacked
from qubo_attn.compilation.columns import TARGET, Sizes, check_columns
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.facts import (
    GROUPS,
    check_facts,
    chosen,
    facts_of,
    rewrite_facts,
    stage_facts,
    tuples,
)
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.compilation.verify import (
    check_attention,
    check_certificates,
    check_copies,
    check_first,
    check_held,
    check_placement,
    check_stage,
    check_target,
    edge_columns,
    pattern_of,
)
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.embedding.placement import Placement
from qubo_attn.errors import InputError, PassError
from qubo_attn.formulations.certificates import Certificates
from qubo_attn.frontend.attention import Attention
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program, unpriced
from qubo_attn.machine.target import Target
from qubo_attn.passes import Embed
from qubo_attn.pipeline.pipeline import Fact, Stage
from qubo_attn.pipeline.rewrite import Rewrite

FACTS = "artifact.json"
ARRAYS = "arrays.npz"
_INSIDE = "facts"  # the array that holds the facts, as text
_ATTENTION = (
    "logits", "values", "keys", "required", "forbidden", "missing", "projection", "carried",
)  # fmt: skip
_PROVEN = ("index", "margin", "method", "upper", "lower", "witness")
_PLACED = ("submission", "component", "chain_ptr", "chain_qubit")


# -- written ---------------------------------------------------------------------------------------


def save(compiled: Compilation, folder: Path) -> None:
    """Write ``compiled``; see `CompiledAttention.save`."""
    facts, arrays = facts_of(compiled), _arrays_of(compiled)
    facts["arrays"] = {name: digest_of({"": array}) for name, array in arrays.items()}
    # As it reads back, so that both ends hash the same.
    facts = json.loads(json.dumps(facts))
    text = _text(facts | {"digest": _digest(facts)})
    content = packed(arrays | {_INSIDE: np.frombuffer(text, np.uint8)})
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder", folder=str(folder))
    with writing(folder), under_way(folder, lambda: _settle(folder)):
        write_files({folder / ARRAYS: content, folder / FACTS: text})


def _settle(folder: Path) -> None:
    """Make the facts beside the arrays those that the arrays bring along.

    A save may have been interrupted between its two files, and of two that run at once, one may
    have replaced the arrays last and the other the facts.
    """
    while True:
        try:
            inside = unpacked(folder / ARRAYS, [_INSIDE])[_INSIDE].tobytes()
        except (InputError, KeyError):
            return  # there are none, or another version wrote them
        if inside == read_file(folder / FACTS, ROOM):
            return
        write_file(folder / FACTS, inside)


def _arrays_of(compiled: Compilation) -> dict[str, Array]:
    arrays: dict[str, Array] = {}

    def put(group: str, columns: Mapping[str, Array | None]) -> None:
        for name, array in columns.items():
            if array is not None:
                arrays[f"{group}/{name}"] = np.asarray(array, order="C")

    attention, recipe = compiled.attention, compiled.recipe
    put("attention", {name: getattr(attention, name) for name in _ATTENTION})
    if attention.pattern is not None:
        put("edges", edge_columns(attention.pattern))
    put("recipe", {name: getattr(recipe, name) for name in ("mask", "kv_head", "queries")})
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
    if compiled.copies is not None:
        put("copies", dict(compiled.copies.arrays()))
    return arrays


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


def _text(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode()


def _digest(facts: Mapping[str, Any]) -> str:
    """Return the checksum of facts, however their text is laid out."""
    plain = {name: entry for name, entry in facts.items() if name != "digest"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


# -- read ------------------------------------------------------------------------------------------


def load(folder: Path, cache: EmbeddingCache | None) -> Compilation:
    """Read an artifact; see `qubo_attn.load`."""
    try:
        return _build(*_parts(folder), cache)
    except PassError:  # of a package that is not installed
        raise
    except Exception as error:  # any content is possible, and all of it means the same
        names = error.facts if isinstance(error, InputError) else {}
        message = f"{folder} holds no readable artifact ({reason_of(error)}); save it anew"
        if not folder.is_dir():
            what = f"{folder} is a file" if folder.exists() else f"there is no folder {folder}"
            message = f"{what}; name a folder that compile wrote"
        raise InputError(
            message,
            **{"file": str(folder / ARRAYS)} | names | {"folder": str(folder)},
        ) from error


def _parts(folder: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return facts and arrays of one save, whatever other processes write meanwhile."""
    earlier: tuple[str | None, str] | None = None
    while True:
        beside, problem = _beside(folder)
        if problem is not None and not is_written(folder):
            raise problem
        arrays = unpacked(folder / ARRAYS)
        inside = arrays.pop(_INSIDE, np.zeros(0, np.uint8)).tobytes()
        facts = _checked(inside, folder / ARRAYS)
        both = None if beside is None else beside["digest"], facts["digest"]
        if both[0] == both[1] or is_written(folder):
            _check_digests(facts, arrays, folder / ARRAYS)
            return facts, arrays
        # Another process may have saved between the two readings; then the next ones differ.
        if both == earlier:
            raise InputError(f"{FACTS} and {ARRAYS} are of two artifacts", file=str(folder / FACTS))
        earlier = both


def _beside(folder: Path) -> tuple[dict[str, Any] | None, InputError | None]:
    """Return the facts of ``artifact.json``, or what is wrong with it."""
    file = folder / FACTS
    try:
        return _checked(read_bytes(file, ROOM), file), None
    except OSError as error:
        return None, InputError(f"{file}: {error.strerror}", file=str(file))
    except InputError as error:
        return None, error


def _checked(text: bytes, file: Path) -> dict[str, Any]:
    """Return the facts that a text holds, once their checksum and all their entries are right."""
    try:
        facts: dict[str, Any] = json.loads(text)
        check_facts(facts)
    except InputError as error:
        raise InputError(f"{file}: {error}", file=str(file)) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} does not read ({error})", file=str(file)) from error
    if facts["digest"] != _digest(facts):
        raise InputError(f"{file} is damaged: its checksum does not match", file=str(file))
    return facts


def _check_digests(facts: Mapping[str, Any], arrays: Mapping[str, Array], file: Path) -> None:
    stated = facts["arrays"]
    for name in sorted(stated.keys() | arrays.keys()):
        if name not in arrays or stated.get(name) != digest_of({"": arrays[name]}):
            raise InputError(
                f"{file} is damaged: the checksum of array {name} does not match",
                file=str(file),
                array=name,
            )


def _build(
    facts: dict[str, Any], arrays: dict[str, Array], cache: EmbeddingCache | None
) -> Compilation:
    groups: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = array

    def part(name: str) -> dict[str, Any]:
        return groups.pop(name, {})

    attention, edges = part("attention"), part("edges")
    pattern = pattern_of(edges) if edges else None
    sizes = check_attention(attention, groups.get("recipe", {}), pattern)
    target = None
    if facts["target"] is not None:
        target = _target(facts["target"], part("target"), sizes)
    recipe = _recipe(facts, part("recipe"), target, cache)
    steps = recipe.passes if recipe.embed is None else (*recipe.passes, recipe.embed)
    held, stages = frozenset[Fact](), list[Stage]()
    for index, stage in enumerate(facts["stages"]):
        columns, lift, proofs = (part(f"{k}{index}") for k in ("stage", "lift", "certificates"))
        earlier = stages[-1].program if stages else None
        program = check_stage(index, columns, lift, earlier, sizes)
        if index:
            step = steps[index - 1]
            held = (held - step.breaks) | step.ensures
            check_held(index, program, held)
        placement, stated = None, facts["placement"]
        if stated is not None and target is not None and index == len(facts["stages"]) - 1:
            columns = part("placement")
            check_placement(columns, target, program, sizes)
            placement = Placement(target, structure=stated["structure"], **columns)
        rewrite = Rewrite(
            program,
            Lift.from_arrays(lift),
            certificates=_certificates(index, proofs, program, sizes),
            placement=placement,
            **rewrite_facts(stage),
        )
        stages.append(Stage(rewrite=rewrite, **stage_facts(stage)))
    placement, columns = stages[-1].rewrite.placement, part("copies")
    copies = None
    if columns and placement is not None:
        copies = check_copies(columns, placement, sizes)
    if groups:
        raise InputError(f"array group {min(groups)} is no part of an artifact", array=min(groups))
    heads = sizes["H"]
    if not len(facts["selects"]) == len(facts["objectives"]) == heads:
        raise InputError(f"it has {heads} heads, and not one select and objective for each")
    checked = Attention(**attention, hidden_by_value=facts["hidden_by_value"], pattern=pattern)
    check_first(stages[0].program, checked)
    return Compilation(checked, recipe, tuple(stages), copies=copies)


def _certificates(
    index: int, arrays: dict[str, Any], priced: Program, sizes: Sizes
) -> Certificates | None:
    """Return the certificates behind `_proofs`; None where the stage left none."""
    if not arrays:
        return None
    program = check_certificates(f"certificates{index}", arrays, unpriced(priced), sizes)
    prices = priced.constraints
    if "weight" not in arrays:
        arrays["weight"] = prices.weight[arrays["index"]]
        arrays["slope"] = prices.slope[arrays["index"]]
    return Certificates(program, **arrays | {"steps": int(arrays["steps"])})


def _recipe(
    facts: dict[str, Any],
    arrays: dict[str, Any],
    target: Target | None,
    cache: EmbeddingCache | None,
) -> Recipe:
    embed = None
    if facts["embed"] is not None and target is not None:
        embed = Embed(target, EmbeddingCache() if cache is None else cache, **facts["embed"])
    groups: dict[str, Any] = {
        name: tuple(chosen(entry) for entry in facts[name]) for name in GROUPS
    }
    plain = {name: facts[name] for name in ("chain_strength", "replicas")}
    return Recipe(embed=embed, target=target, **plain, **groups, **arrays)


def _target(facts: dict[str, Any], arrays: dict[str, Any], sizes: Sizes) -> Target:
    check_columns("target", arrays, TARGET, sizes)
    target = Target(**tuples(facts) | {"properties": facts["properties"]} | arrays)
    check_target(target)
    return target
