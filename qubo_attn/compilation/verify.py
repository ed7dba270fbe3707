"""Checks of what an artifact brings: columns by their table, then what no table can say.

Kernels and SciPy take indices as they are. So nothing that a file holds is used before it is
checked here, and a checksum that is right changes nothing about that: whoever changes a file can
change its checksum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Longs, csr_rows, read_only, segment_ids
from qubo_attn.compilation.columns import (
    ATTENTION,
    CERTIFICATES,
    COPIES,
    EDGES,
    GRAPH,
    LIFT,
    PLACEMENT,
    PROGRAM,
    Sizes,
    check_columns,
    refused,
)
from qubo_attn.embedding.copies import Copies
from qubo_attn.embedding.placement import Placement
from qubo_attn.errors import InputError, VerifyError
from qubo_attn.formulations.certificates import Method
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.hidden import fitted, read_mask
from qubo_attn.frontend.pattern import Pattern
from qubo_attn.frontend.vectors import read_owners
from qubo_attn.frontend.window import read_window
from qubo_attn.ir.columns import Kind
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import leveled_rows
from qubo_attn.machine.target import Target
from qubo_attn.machine.topology import GRIDS
from qubo_attn.pipeline.pipeline import Fact


def edge_columns(pattern: Pattern) -> dict[str, Array | None]:
    """Return the edges of a graph as arrays."""
    return {
        "shape": np.array(pattern.shape),
        "ptr": pattern.ptr,
        "key": pattern.key,
        "order": pattern.order,
        "given": np.array(pattern.given),
        "shared": np.array(pattern.shared),
    }


def pattern_of(arrays: Mapping[str, Array]) -> Pattern:
    """Return the edges behind `edge_columns`, once they are checked."""
    sizes: Sizes = {}
    shape, given = arrays.get("shape"), arrays.get("given")
    if shape is not None and shape.shape == (3,) and shape.dtype == np.int64:
        heads, queries, keys = shape.tolist()
        sizes |= {"K": keys, "rows": heads * queries}
    if given is not None and given.shape == () and given.dtype == np.int64:
        sizes["given"] = int(given)
    if "key" in arrays:
        sizes["edges"] = arrays["key"].size
    check_columns("edges", arrays, EDGES, sizes)
    shared, order = bool(arrays["shared"]), arrays.get("order")
    if shared and heads and sizes["edges"] % heads:
        raise refused("edges/key", "is not that of heads with the same edges")
    own = sizes["edges"] // max(heads, 1) if shared else sizes["edges"]
    if order is None and own != sizes["given"]:
        raise refused("edges/order", "is absent")
    if order is not None and (len(order) != own or len(np.unique(order)) != own):
        raise refused("edges/order", "is not a place for each edge")
    same_row = np.diff(segment_ids(arrays["ptr"])) == 0
    if (np.diff(arrays["key"])[same_row] <= 0).any():
        raise refused("edges/key", "does not rise within a row")
    return Pattern(
        heads, queries, keys, arrays["ptr"], arrays["key"], order, sizes["given"], shared
    )


def check_first(program: Program, attention: Attention) -> None:
    """Check that the first variables are those of the visible keys, in their order."""
    rows, v = attention.rows, program.variables
    count = len(rows.key)
    for name, column in (
        ("head", np.repeat(rows.head, rows.sizes)),
        ("query", np.repeat(rows.query, rows.sizes)),
        ("key", rows.key),
    ):
        if not np.array_equal(getattr(v, name)[:count], column):
            raise refused(f"stage0/v.{name}", "is not that of the visible keys")


def check_attention(
    arrays: Mapping[str, Array], recipe: Mapping[str, Array], pattern: Pattern | None
) -> Sizes:
    """Check attention and what the recipe keeps beside it; return heads, queries and keys.

    Args:
        arrays: of the attention.
        recipe: of the recipe.
        pattern: the edges of a graph; None where the attention is in tables.
    """
    sizes: Sizes = {}
    if pattern is not None:
        sizes = {"H": pattern.heads, "Q": pattern.queries, "K": pattern.keys, "edges": len(pattern)}
    check_columns("attention", arrays, ATTENTION if pattern is None else GRAPH, sizes)
    shape, windowed = (sizes["H"], sizes["Q"], sizes["K"]), "queries" in recipe
    for name, array in recipe.items():
        try:
            if name == "mask" and pattern is not None:
                pattern.in_rows("mask", read_mask(array))
            elif name == "mask":
                # Of all queries of a batch, where a window takes some.
                queries = array.shape[-2] if windowed and array.ndim > 1 else shape[1]
                fitted(name, read_mask(array), (shape[0], queries, shape[2]))
            elif name == "queries":
                read_window(array)
            elif name == "kv_head":
                read_owners(array, shape[0])
            else:
                raise InputError("is no part of an artifact")
        except InputError as error:
            raise refused(f"recipe/{name}", f"does not fit: {error}") from error
    return sizes


def check_stage(
    index: int,
    columns: Mapping[str, Array],
    lift: Mapping[str, Array],
    earlier: Program | None,
    attention: Sizes,
) -> Program:
    """Check a program and the way back from it; return the program.

    Args:
        index: number of the stage.
        columns: of the program; none where it is that of the stage before.
        lift: of the way back to the stage before, or to itself for the first.
        earlier: the program of the stage before.
        attention: heads, queries and keys.
    """
    program = earlier
    if columns or program is None:
        program = _program(f"stage{index}", columns, attention)
        v = program.variables
        if earlier is None and min(x.min(initial=0) for x in (v.head, v.query, v.key)) < 0:
            raise refused("stage0/v.head", "leaves a variable without head, query or key")
    after = len(program)
    before = after if earlier is None else len(earlier)
    check_columns(f"lift{index}", lift, LIFT, {"b": before, "n": after})
    if lift["shape"].tolist() != [before, after]:
        raise refused(f"lift{index}/shape", f"is not {before} by {after}")
    return program


def check_held(index: int, program: Program, facts: Iterable[Fact]) -> None:
    """Check that the program of a stage is what the passes up to it made sure of."""
    for fact in facts:
        if fact.holds is not None and not fact.holds(program):
            raise refused(f"stage{index}", f"is no program that {fact.meaning}")


def check_certificates(
    group: str, arrays: dict[str, Array], priced: Program, attention: Sizes
) -> Program:
    """Check certificates; return the program that they prove, in place of its columns.

    Args:
        group: name of the group.
        arrays: of the certificates; columns of a program of their own are taken out.
        priced: the program whose constraints they price, where they have none of their own.
        attention: heads, queries and keys.
    """
    names = [name for name in arrays if name.startswith("program/")]
    own = {name.removeprefix("program/"): arrays.pop(name) for name in names}
    program = _program(f"{group}/program", own, attention) if own else priced
    sizes = {"r": len(program.constraints)}
    check_columns(group, arrays, CERTIFICATES, sizes)
    if bool(own) != ("weight" in arrays) or bool(own) != ("slope" in arrays):
        raise refused(f"{group}/weight", "stands without a program, or the other way round")
    index, method = arrays["index"], arrays["method"]
    rows = program.constraints.take(index)
    if sizes["w"] != len(rows.var):
        raise refused(f"{group}/witness", "has not one entry for each of its rows' variables")
    # Proofs of counts go by right-hand sides as indices.
    reach = np.bincount(rows.row, program.variables.upper[rows.var], len(rows))
    reach = np.where(method == Method.RELAXATION, np.diff(rows.ptr), reach)
    leveled = method == Method.LEVELS
    plain = np.bincount(rows.row, rows.coef != 1, len(rows)) == 0
    counts = plain & (rows.rhs >= 0) & (rows.rhs <= reach)
    if leveled.any():
        gates = leveled_rows(program)[index] & (rows.kind == Kind.GATE)
        counts = np.where(leveled, gates | (counts & leveled_rows(program)[index]), counts)
    if not counts.all():
        raise refused(f"{group}/index", "names a constraint that is no count")
    return program


def check_target(target: Target) -> None:
    """Check what a machine states beside its qubits and couplers."""
    if target.topology not in (*GRIDS, "other", "all-to-all"):
        raise InputError(f"target.topology {target.topology!r} is not known")
    if target.names is not None and len(set(target.names)) != len(target.qubits):
        raise InputError("target.names are not one for each qubit")
    if target.is_structured:
        _ = target.limits, target.timing


def check_placement(
    arrays: Mapping[str, Array], target: Target, program: Program, sizes: Sizes
) -> None:
    """Check that a placement gives every variable a chain of its own on the machine."""
    check_columns("placement", arrays, PLACEMENT, sizes | {"n": len(program)})
    ptr, submission, component = (arrays[k] for k in ("chain_ptr", "submission", "component"))
    if not np.array_equal(component, program.components):
        raise refused("placement/component", "holds other components than the program has")
    for number in range(int(submission.max(initial=-1)) + 1):
        chains, entries = csr_rows(ptr, np.flatnonzero(submission == number))
        if not _are_chains(chains, arrays["chain_qubit"][entries], target):
            raise refused("placement/chain_qubit", f"holds no chains in submission {number}")
    first = np.full(int(component.max(initial=-1)) + 1, -1, np.int64)
    first[component] = submission
    if (first[component] != submission).any():
        raise refused("placement/submission", "parts a component")


def check_copies(arrays: Mapping[str, Array], placement: Placement, sizes: Sizes) -> Copies:
    """Check copies against the placement that they stand beside; return them.

    Each must be of a component of the last submission, on chains of its own.
    """
    per_component = np.bincount(placement.component)
    check_columns("copies", arrays, COPIES, sizes | {"l": len(per_component)})
    own = arrays["component"]
    inside = np.unique(placement.component[placement.members[-1]]) if len(own) else own
    if not np.isin(own, inside).all():
        raise refused("copies/component", "names a component of another submission")
    if len(arrays["chain_ptr"]) != per_component[own].sum() + 1:
        raise refused("copies/chain_ptr", "has not one chain for each variable of its components")
    copies = Copies(**arrays)
    placed = copies.placed(placement)
    chains, entries = csr_rows(placed.chain_ptr, placed.members[-1])
    if not _are_chains(chains, placed.chain_qubit[entries], placement.target):
        raise refused("copies/chain_qubit", "holds no chains beside those of the last submission")
    return copies


def _are_chains(ptr: Longs, qubit: Longs, target: Target) -> bool:
    """Return whether there are chains, each connected and all on qubits of their own."""
    # Each chain is a copy of one node.
    alone, edges = (read_only(ptr), read_only(qubit)), np.zeros((2, 0), np.int64)
    return len(ptr) > 1 and bool(kernels.whole_copies(*alone, 1, edges, target.adjacency).all())


def _program(group: str, columns: Mapping[str, Array], attention: Sizes) -> Program:
    check_columns(group, columns, PROGRAM, attention | {})
    program = Program.from_arrays(dict(columns))
    try:
        program.verify()
    except VerifyError as error:
        raise InputError(f"{group}: {error}", array=group) from error
    return program
