"""Options of `qubo_attn.compile`: their types, and the recipe that they make."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypedDict, cast

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn import passes
from qubo_attn.backend.chain_strength import ChainStrength
from qubo_attn.common.checks import MOST, MOST_SEED, flag, one_of, several, shown, whole
from qubo_attn.compilation.recipe import Recipe, Replicas
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.errors import InputError
from qubo_attn.frontend.coupling import Agreement, Coupling, Diversity
from qubo_attn.frontend.heads import Head, complete_heads
from qubo_attn.frontend.hidden import read_array, read_mask
from qubo_attn.frontend.objectives import Boltzmann, Objective, Renormalised, objective_named
from qubo_attn.frontend.select import ExactlyK, Select, SoftWeights, check_select
from qubo_attn.frontend.window import read_window
from qubo_attn.machine.target import Target
from qubo_attn.pipeline.pipeline import AfterHook, BeforeHook, Pass, hooks
from qubo_attn.registry import passes_of

if TYPE_CHECKING:
    import networkx as nx

# A quarter of a 32-token window: few enough for short chains, enough to keep most softmax mass.
DEFAULT_SELECT = ExactlyK(8)
# Keys of a block of a row that is split: what blocks of more keys gain, longer chains cost.
DEFAULT_BLOCK = 64
# Restricting the choice to the 16 keys of largest mass costs nothing measurable at k = 4, and a
# 16-clique is the largest that still packs over a hundred times on one machine.
DEFAULT_SLOTS = 16


class Options(TypedDict, total=False):
    """Options of `qubo_attn.compile` by name, for all that hand them on; it documents them."""

    select: Select
    objective: str | Objective | None
    values: ArrayLike | None
    keys: ArrayLike | None
    mask: ArrayLike | None
    kv_head: ArrayLike | None
    required: ArrayLike | None
    forbidden: ArrayLike | None
    output_projection: ArrayLike | None
    carried: ArrayLike | None
    queries: ArrayLike | None
    tie: passes.TieVariables | None
    coupling: Coupling | Sequence[Coupling] | None
    slots: int | Literal["auto"] | None
    decompose: int | Literal["auto"] | None
    passes: Sequence[Pass | str] | str | None
    target: Target | str | nx.Graph | object | None
    cache: EmbeddingCache | str | os.PathLike[str] | None
    seed: int
    chain_strength: ChainStrength
    longest_chain: int | None
    replicas: Replicas
    before: Sequence[BeforeHook]
    after: Sequence[AfterHook]
    verify_each: bool


def recipe_of(heads: int | Sequence[Head], count: int, options: Options) -> Recipe:
    """Return the recipe that options make.

    Args:
        heads: as for `qubo_attn.compile`.
        count: number of heads.
        options: all options, an objective included; the arrays among them are checked already.

    Raises:
        InputError, TargetError, PassError: see `qubo_attn.compile`.
    """
    tie, mask, kv_head = options["tie"], options["mask"], options["kv_head"]
    machine, seed = Target.of(options["target"]), whole("seed", options["seed"], most=MOST_SEED)
    block = block_of(options["decompose"], machine)
    _check_tie(tie, count)
    each = complete_heads(heads, options["select"], cast("str | Objective", options["objective"]))
    selects = tuple(check_select(head.select) for head in each)
    objectives = tuple(objective_named(cast("str | Objective", h.objective)) for h in each)
    if block is not None:
        _check_split(objectives, _couplings(options["coupling"], each))
    constrained = options["required"] is not None or options["forbidden"] is not None
    # Tying before sparsifying, as slots must be chosen once for a group; both early, as every
    # later pass is then cheaper; weights to bits after the penalties, which are tighter for whole
    # numbers than for their bits, but for one-hot ones, whose bits need a price themselves.
    native = frozenset() if machine is None else machine.native
    weights = passes.BinarizeWeights(_encoding(selects), _family(machine))
    prices = passes.InsertPenalties(
        cardinality="auto",
        topology=_family(machine),
        temperature=_warmth(machine),
        aim=max(
            (o.temperature or 0.0 for o in objectives if isinstance(o, Boltzmann)), default=0.0
        ),
    )
    priced_bits: tuple[Pass, ...] = (
        (weights, prices) if weights.encoding == "one-hot" else (prices, weights)
    )
    if "linear" in native:
        priced_bits = (weights,)
    elif native:
        priced_bits = (*priced_bits, passes.KeepOneHot())
    steps = passes_of(
        options["passes"],
        lambda: (
            *_ties(tie, each),
            *((passes.Canonicalize(),) if constrained else ()),
            *_narrowed(options["slots"], selects, block),
            *priced_bits,
            *_integers(machine),
        ),
    )
    embed, longest = None, options["longest_chain"]
    longest = None if longest is None else whole("longest_chain", longest, 1)
    cache = options["cache"]
    cache = cache if isinstance(cache, EmbeddingCache) else EmbeddingCache(cache)
    if machine is not None and machine.is_structured:
        embed = passes.Embed(machine, cache, seed=seed, longest_chain=longest)
    return Recipe(
        selects,
        objectives,
        steps,
        embed,
        machine,
        hooks("before", options["before"]),
        hooks("after", options["after"]),
        flag("verify_each", options["verify_each"]),
        None if mask is None else read_mask(mask),
        None if kv_head is None else read_array("kv_head", kv_head),
        _couplings(options["coupling"], each),
        options["chain_strength"],
        read_window(options["queries"]),
        options["replicas"],
    )


def block_of(decompose: int | Literal["auto"] | None, machine: Target | None) -> int | None:
    """Return the keys of a block, as `qubo_attn.compile` takes ``decompose``."""
    if decompose is None:
        return None
    if not isinstance(decompose, str):
        return whole("decompose", decompose, 2, MOST)
    if decompose != "auto":
        raise InputError(
            f"decompose must be a number of keys, at least 2, or 'auto', not {shown(decompose)}",
            argument="decompose",
        )
    if machine is None or not machine.is_structured:
        return DEFAULT_BLOCK
    from qubo_attn.embedding.cliques import largest_clique

    return max(2, largest_clique(machine, DEFAULT_BLOCK + 1))


def _check_split(objectives: tuple[Objective, ...], couplings: tuple[Coupling, ...]) -> None:
    """Reject objectives that rounds over blocks do not serve.

    Raises:
        InputError: names the objective.
    """
    ratios = [isinstance(objective, Renormalised) for objective in objectives]
    reason = ""
    if any(isinstance(objective, Boltzmann) for objective in objectives):
        reason = "boltzmann, which is about reads of whole rows"
    elif any(ratios) and not all(ratios):
        reason = "renormalised in some heads only: energies of heads would not add up"
    elif any(ratios) and couplings:
        reason = "couplings of heads and renormalised: energies of both would not add up"
    if reason:
        raise InputError(f"decompose does not take {reason}", argument="decompose")


def _check_tie(tie: object, heads: int) -> None:
    if tie is None:
        return
    if not isinstance(tie, passes.TieVariables):
        raise InputError(f"tie must be a qubo_attn.TieVariables, not {shown(tie)}", argument="tie")
    beyond = [head for group in tie.groups for head in group if head >= heads]
    if beyond:
        raise InputError(f"tie names head {beyond[0]}, but there are {heads}", head=beyond[0])


def _ties(
    tie: passes.TieVariables | None, heads: tuple[Head, ...]
) -> tuple[passes.TieVariables, ...]:
    """Return the tying pass asked for by ``tie`` or by the heads, if any."""
    groups = _named_groups([head.tie for head in heads])
    if not groups:
        return () if tie is None else (tie,)
    if tie is not None:
        raise InputError("give tie= or Head(tie=), not both", argument="tie")
    return (passes.TieVariables(tuple(group for group in groups if len(group) > 1)),)


def _named_groups(names: Sequence[str | int | None]) -> tuple[tuple[int, ...], ...]:
    """Return the heads of each name, by first head."""
    return tuple(
        tuple(h for h, other in enumerate(names) if other == name)
        for name in dict.fromkeys(name for name in names if name is not None)
    )


def _couplings(
    coupling: Coupling | Sequence[Coupling] | None, heads: tuple[Head, ...]
) -> tuple[Coupling, ...]:
    """Return the couplings of a call, within the groups that its heads name."""
    alone = () if coupling is None else (coupling,)
    given = alone if isinstance(coupling, Coupling | None) else several("coupling", coupling)
    odd = [entry for entry in given if not isinstance(entry, (Agreement, Diversity))]
    if odd:
        raise InputError(
            f"coupling must be qubo_attn.Diversity or Agreement, not {shown(odd[0])}",
            argument="coupling",
        )
    groups = _named_groups([head.couple for head in heads])
    if not groups:
        return given
    if not given:
        raise InputError("Head(couple=) needs coupling=, which says how", argument="coupling")
    named = [entry for entry in given if entry.heads]
    if named:
        raise InputError(
            f"give heads to {type(named[0]).__name__} or Head(couple=), not both",
            argument="coupling",
        )
    return tuple(dataclasses.replace(entry, groups=groups) for entry in given)


def _encoding(selects: tuple[Select, ...]) -> str:
    """Return the encoding that the heads' soft weights ask for."""
    asked = {select.encoding for select in selects if isinstance(select, SoftWeights)}
    if len(asked) > 1:
        raise InputError(
            f"heads ask for different encodings of soft weights: {', '.join(sorted(asked))}; "
            "one program has one",
            argument="select",
        )
    return asked.pop() if asked else "auto"


def _family(machine: Target | None) -> str:
    """Return the topology that costs are counted on: Zephyr's where none is known."""
    return "zephyr" if machine is None or machine.topology == "other" else machine.topology


def _warmth(machine: Target | None) -> float | None:
    """Return how warm the machine is; None where none is known."""
    return None if machine is None or not machine.is_grid else machine.temperature


def _integers(machine: Target | None) -> tuple[passes.Quantize, ...]:
    """Return the pass that a machine with integer coefficients needs."""
    if machine is None or "bits" not in machine.properties:
        return ()
    return (passes.Quantize(bits=int(machine.properties["bits"])),)


def _narrowed(
    slots: int | Literal["auto"] | None, selects: tuple[Select, ...], block: int | None
) -> tuple[Pass, ...]:
    """Return the passes that leave keys out, or hold them for a round."""
    if block is None:
        return (passes.Sparsify(slots=_slots(slots, selects)),)
    every = None if slots == "auto" else _slots(slots, selects)
    return passes.Sparsify(slots=every), passes.SplitRows(block)


def _slots(slots: int | Literal["auto"] | None, selects: tuple[Select, ...]) -> int | None:
    if not isinstance(slots, str):
        return slots
    one_of("slots", slots, ["auto"])
    many = np.array([np.iinfo(np.int64).max])
    counts = [int(select.counts(many)[0]) for select in selects]
    largest = max(
        int(getattr(select, "k", None) or 0) if count == many[0] else count
        for select, count in zip(selects, counts, strict=True)
    )
    return min(max(DEFAULT_SLOTS, 2 * largest), MOST)
