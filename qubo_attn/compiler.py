"""``compile``: attention in, a compiled artifact out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.backend.chain_strength import ChainStrength
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.compiled import CompiledAttention
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.coupling import Agreement, Coupling, Diversity
from qubo_attn.frontend.heads import Head, complete_heads, count_heads
from qubo_attn.frontend.objectives import Objective, objective_named
from qubo_attn.frontend.select import ExactlyK, Select, SoftWeights, is_select
from qubo_attn.machine.target import Target
from qubo_attn.passes import (
    BinarizeWeights,
    Canonicalize,
    Embed,
    InsertPenalties,
    Quantize,
    Sparsify,
    TieVariables,
)
from qubo_attn.pipeline.pipeline import AfterHook, BeforeHook, Pass
from qubo_attn.registry import passes_of

if TYPE_CHECKING:
    import networkx as nx

# A quarter of a 32-token window: few enough for short chains, enough to keep most softmax mass.
DEFAULT_SELECT = ExactlyK(8)
# Restricting the choice to the 16 keys of largest mass costs nothing measurable at k = 4, and a
# 16-clique is the largest that still packs over a hundred times on one machine.
DEFAULT_SLOTS = 16


def compile(
    scores: ArrayLike,
    heads: int | Sequence[Head],
    *,
    select: Select = DEFAULT_SELECT,
    objective: str | Objective = "selection",
    values: ArrayLike | None = None,
    keys: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    kv_head: ArrayLike | None = None,
    required: ArrayLike | None = None,
    forbidden: ArrayLike | None = None,
    tie: TieVariables | None = None,
    coupling: Coupling | Sequence[Coupling] | None = None,
    slots: int | Literal["auto"] | None = "auto",
    passes: Sequence[Pass | str] | str | None = None,
    target: Target | str | nx.Graph | object | None = "zephyr:12",
    cache: EmbeddingCache | str | os.PathLike[str] | None = None,
    seed: int = 0,
    chain_strength: ChainStrength = "auto",
    longest_chain: int | None = None,
    before: Sequence[BeforeHook] = (),
    after: Sequence[AfterHook] = (),
    verify_each: bool = False,
) -> CompiledAttention:
    """Lower attention to binary quadratic models with minor embeddings.

    Args:
        scores: logits, shape (heads, queries, keys), or (queries, keys) with one head; -inf where a
            query may not see a key. Anything NumPy can read, torch tensors included.
        heads: number of heads, or one `Head` each where they differ.
        select: what each row may select; `ExactlyK` (8) by default, a quarter of a 32-token
            window. A row with fewer visible keys keeps all of them, and the result says so.
        objective: ``"selection"`` (the default, as it needs nothing but scores), ``"redundancy"``
            (needs ``keys``), ``"output"`` (needs ``values``; the one to use where they are at
            hand), or an objective with options.
        values: value vectors, shape (heads, keys, d).
        keys: key vectors, shape (heads, keys, d).
        mask: bool, shape (queries, keys) or (heads, queries, keys); true where visible.
        kv_head: int, shape (heads,): key/value head of each query head, where ``values`` and
            ``keys`` come once per key/value head.
        required, forbidden: bool, shape (queries, keys) or (heads, queries, keys): keys that each
            row must keep, or must not.
        tie: shared selections, e.g. ``TieVariables.from_kv_head(kv_head)``; none by default.
        coupling: heads that pay for keeping the same key of a query, or gain by it, e.g.
            ``Diversity(0.5)``, or several, such as
            ``[Diversity(1.0, pairs=[(0, 1)]), Agreement(0.5, pairs=[(2, 3)])]``; none by default.
        slots: most keys a row keeps to choose from, those of largest softmax mass. ``"auto"`` is 16
            or twice the largest k, whichever is more; None keeps all.
        passes: all passes before the embedding, in place of the default ones: passes, or texts such
            as ``"sparsify{slots=12}"``, or one text of several parted by commas. ``"default"``
            stands for the default ones; passes of other packages have names as well.
        target: a `Target`, ``"zephyr:12"`` (the default: the current machine generation, ideal
            until a working graph is given), ``"pegasus:16"``, ``"all-to-all"``, a JSON file of a
            working graph, a networkx graph, a sampler with a structure, or None for logical
            models alone.
        cache: where embeddings are kept: a cache or a folder; by default the user's cache folder.
        seed: of the search for embeddings.
        chain_strength: ``"torque"`` (torque compensation of each row), a number (the same with that
            prefactor in place of the customary 1.414), ``"bound"`` (each chain just above what is
            proved to keep it whole, with room for the machine's errors), or ``"auto"`` (torque
            compensation within that room and that bound), which breaks fewer rows.
        longest_chain: qubits that a chain may have: fewer rows fit at once then, or none; None (the
            default) for any number.
        before, after: hooks around each pass, see `Pipeline`.
        verify_each: check every pass against its promise (slow).

    Returns:
        The compiled artifact.

    Raises:
        InputError: an argument does not fit; names it and the head, query, key.
        TargetError: the target is not known or does not read.
        EmbeddingError: a row does not fit the target; says how many keys would.
        PassError, OrderError: a pass cannot run, or not in this order.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> scores = np.array([[[2.0, 1.0, 0.5, -1.0]]])
        >>> compiled = qa.compile(scores, 1, select=qa.ExactlyK(2), target=None)
        >>> compiled.solve(seed=1).selected[0, 0]
        array([ True,  True, False, False])
    """
    attention, recipe = prepare(
        scores,
        heads,
        select=select,
        objective=objective,
        values=values,
        keys=keys,
        mask=mask,
        kv_head=kv_head,
        required=required,
        forbidden=forbidden,
        tie=tie,
        coupling=coupling,
        slots=slots,
        passes=passes,
        target=target,
        cache=cache,
        seed=seed,
        chain_strength=chain_strength,
        longest_chain=longest_chain,
        before=before,
        after=after,
        verify_each=verify_each,
    )
    return recipe.lower(attention)


def prepare(
    scores: ArrayLike,
    heads: int | Sequence[Head],
    *,
    select: Select,
    objective: str | Objective,
    values: ArrayLike | None,
    keys: ArrayLike | None,
    mask: ArrayLike | None,
    kv_head: ArrayLike | None,
    required: ArrayLike | None,
    forbidden: ArrayLike | None,
    tie: TieVariables | None,
    coupling: Coupling | Sequence[Coupling] | None,
    slots: int | Literal["auto"] | None,
    passes: Sequence[Pass | str] | str | None,
    target: Target | str | nx.Graph | object | None,
    cache: EmbeddingCache | str | os.PathLike[str] | None,
    seed: int,
    chain_strength: ChainStrength,
    longest_chain: int | None,
    before: Sequence[BeforeHook],
    after: Sequence[AfterHook],
    verify_each: bool,
) -> tuple[Attention, Recipe]:
    """Return the checked input of `compile` and how it will be compiled.

    Args and errors are those of `compile`, but for what compiling itself raises.
    """
    attention = Attention.check(
        scores,
        count_heads(heads),
        values=values,
        keys=keys,
        mask=mask,
        kv_head=kv_head,
        required=required,
        forbidden=forbidden,
    )
    machine = Target.of(target)
    _check_options(tie, seed, attention.shape[0])
    each = complete_heads(heads, select, objective)
    selects = tuple(_checked(head.select) for head in each)
    objectives = tuple(objective_named(head.objective or objective) for head in each)
    # Tying before sparsifying, as slots must be chosen once for a group; both early, as every
    # later pass is then cheaper; weights to bits after the penalties, which are tighter for whole
    # numbers than for their bits.
    steps = passes_of(
        passes,
        lambda: (
            *_ties(tie, each),
            *((Canonicalize(),) if required is not None or forbidden is not None else ()),
            Sparsify(slots=_slots(slots, selects)),
            InsertPenalties(cardinality="auto", topology=_family(machine)),
            BinarizeWeights(_encoding(selects), _family(machine)),
            *_integers(machine),
        ),
    )
    embed = None
    if machine is not None and machine.is_structured:
        kept = cache if isinstance(cache, EmbeddingCache) else EmbeddingCache(cache)
        embed = Embed(
            machine,
            kept,
            seed=int(seed),
            longest_chain=longest_chain,
            chain_strength=chain_strength,
        )
    recipe = Recipe(
        selects,
        objectives,
        steps,
        embed,
        machine,
        tuple(before),
        tuple(after),
        verify_each,
        None if mask is None else np.array(mask),
        None if kv_head is None else np.array(kv_head),
        _couplings(coupling, each),
    )
    return attention, recipe


def _checked(select: object) -> Select:
    if is_select(select):
        return cast(Select, select)
    raise InputError(
        f"select must say how many keys a row keeps, e.g. qubo_attn.ExactlyK(4), not {select!r}",
        select=select,
    )


def _check_options(tie: object, seed: object, heads: int) -> None:
    if not isinstance(seed, Integral) or isinstance(seed, bool) or int(seed) < 0:
        raise InputError(f"seed must be a whole number >= 0, not {seed!r}", seed=seed)
    if tie is None:
        return
    if not isinstance(tie, TieVariables):
        raise InputError(f"tie must be a qubo_attn.TieVariables, not {tie!r}", argument="tie")
    beyond = [head for group in tie.groups for head in group if head >= heads]
    if beyond:
        raise InputError(f"tie names head {beyond[0]}, but there are {heads}", head=beyond[0])


def _ties(tie: TieVariables | None, heads: tuple[Head, ...]) -> tuple[TieVariables, ...]:
    """Return the tying pass asked for by ``tie`` or by the heads, if any."""
    groups = _named_groups([head.tie for head in heads])
    if not groups:
        return () if tie is None else (tie,)
    if tie is not None:
        raise InputError("give tie= or Head(tie=), not both", argument="tie")
    return (TieVariables(tuple(group for group in groups if len(group) > 1)),)


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
    given = (coupling,) if isinstance(coupling, Coupling) else tuple(coupling or ())
    odd = [entry for entry in given if not isinstance(entry, (Agreement, Diversity))]
    if odd:
        raise InputError(
            f"coupling must be qubo_attn.Diversity or Agreement, not {odd[0]!r}",
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


def _integers(machine: Target | None) -> tuple[Quantize, ...]:
    """Return the pass that a machine with integer coefficients needs."""
    if machine is None or "bits" not in machine.properties:
        return ()
    return (Quantize(bits=int(machine.properties["bits"])),)


def _slots(slots: int | Literal["auto"] | None, selects: tuple[Select, ...]) -> int | None:
    if slots != "auto":
        return slots
    many = np.array([np.iinfo(np.int64).max])
    counts = [int(select.counts(many)[0]) for select in selects]
    largest = max(
        int(getattr(select, "k", None) or 0) if count == many[0] else count
        for select, count in zip(selects, counts, strict=True)
    )
    return max(DEFAULT_SLOTS, 2 * largest)
