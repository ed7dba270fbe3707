"""``compile``: attention in, a compiled artifact out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

from numpy.typing import ArrayLike

from qubo_attn.backend.chain_strength import ChainStrength
from qubo_attn.common.keywords import check_names, named
from qubo_attn.compilation.lower import lower
from qubo_attn.compilation.options import DEFAULT_SELECT, Options, recipe_of
from qubo_attn.compilation.recipe import Recipe, Replicas
from qubo_attn.compiled import CompiledAttention
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.coupling import Coupling
from qubo_attn.frontend.heads import Head, count_heads
from qubo_attn.frontend.objectives import Objective, usual_objective
from qubo_attn.frontend.scores import Scores
from qubo_attn.frontend.select import Select
from qubo_attn.machine.target import Target
from qubo_attn.passes import TieVariables
from qubo_attn.pipeline.pipeline import AfterHook, BeforeHook, Pass

if TYPE_CHECKING:
    import networkx as nx


@named
def compile(
    scores: Scores,
    heads: int | Sequence[Head] | None = None,
    *,
    select: Select = DEFAULT_SELECT,
    objective: str | Objective | None = None,
    values: ArrayLike | None = None,
    keys: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    kv_head: ArrayLike | None = None,
    required: ArrayLike | None = None,
    forbidden: ArrayLike | None = None,
    output_projection: ArrayLike | None = None,
    carried: ArrayLike | None = None,
    queries: ArrayLike | None = None,
    tie: TieVariables | None = None,
    coupling: Coupling | Sequence[Coupling] | None = None,
    slots: int | Literal["auto"] | None = "auto",
    decompose: int | Literal["auto"] | None = None,
    passes: Sequence[Pass | str] | str | None = None,
    target: Target | str | nx.Graph | object | None = "zephyr:12",
    cache: EmbeddingCache | str | os.PathLike[str] | None = None,
    seed: int = 0,
    chain_strength: ChainStrength = "auto",
    longest_chain: int | None = None,
    replicas: Replicas = None,
    before: Sequence[BeforeHook] = (),
    after: Sequence[AfterHook] = (),
    verify_each: bool = False,
) -> CompiledAttention:
    """Lower attention to binary quadratic models with minor embeddings.

    Args:
        scores: logits, shape (heads, queries, keys), or (queries, keys) with one head; -inf where a
            query may not see a key, or masked in a masked array, or so low that it must be meant:
            see docs/masks.md. Anything NumPy can read, torch tensors included. Or an
            `AttentionGraph`, the scores of edges; ``mask``, ``required`` and ``forbidden`` then
            have an entry for each edge as it was given, shape (E,) or (heads, E).
        heads: number of heads, or one `Head` each where they differ; as many as ``scores`` hold
            when None.
        select: what each row may select; `ExactlyK` (8) by default, a quarter of a 32-token
            window. A row with fewer visible keys keeps all of them, and the result says so.
        objective: ``"output"`` (needs ``values``; the default if they are given), ``"selection"``
            (the default otherwise, as it needs only scores), ``"redundancy"`` (needs ``keys``),
            ``"renormalised"`` (needs ``values``; for software that renormalises, as caches do),
            ``"layer"`` (needs ``values`` and ``output_projection``). Or an objective with options.
        values: value vectors, shape (heads, keys, d).
        keys: key vectors, shape (heads, keys, d).
        mask: bools, or zeros and ones, true where visible; or floats that are added, 0 where
            visible. Shape (keys,), (queries, keys), (heads, queries, keys), or one that broadcasts.
        kv_head: int, shape (heads,): key/value head of each query head, where ``values`` and
            ``keys`` come once per key/value head.
        required, forbidden: bools, or zeros and ones, of such a shape: keys that each row must
            keep, or must not.
        output_projection: W_O, shape (heads, d, model) or (model, heads * d): errors of outputs are
            then measured behind it, where the model feels them.
        carried: what earlier batches leave to carried backgrounds (`Output`): ``carried`` of the
            compilation before, shape (heads, d + 1). `CompiledAttention.rebind` hands it on.
        queries: whose attention counts: how many of the latest, such as 32, or their numbers; all
            when None. What is returned is about these alone: the observation window of a cache.
        tie: shared selections, e.g. ``TieVariables.from_kv_head(kv_head)``; none by default.
        coupling: heads that pay for keeping the same key of a query, or gain by it, e.g.
            ``Diversity(0.5)``, or several, such as
            ``[Diversity(1.0, pairs=[(0, 1)]), Agreement(0.5, pairs=[(2, 3)])]``; none by default.
        slots: most keys a row keeps to choose from, those of largest softmax mass. ``"auto"`` is 16
            or twice the largest k, whichever is more; None keeps all, and so does ``"auto"`` with
            ``decompose``.
        decompose: keys of a block, where rows may be larger than the machine: rows of more keys
            are solved in rounds over blocks of so many (docs/larger.md). ``"auto"``: 64, or what
            the machine holds; None (the default) splits no row.
        passes: all passes before the embedding, in place of the default ones: passes, or texts such
            as ``"sparsify{slots=12}"``, or one text of several parted by commas. ``"default"``
            stands for the default ones; passes of other packages have names as well.
        target: ``"zephyr:12"`` (the default: the current machine generation, without defects),
            ``"pegasus:16"``, ``"all-to-all"``, or a `Target`. Also a JSON file of a working graph,
            a networkx graph, a sampler with a structure, or None for logical models alone.
        cache: where embeddings are kept: a cache or a folder; by default the user's cache folder.
        seed: seed of the embedding search.
        chain_strength: ``"torque"``: torque compensation of each row. A number: the same with that
            prefactor in place of the customary 1.414. ``"bound"``: each chain just above what is
            proved to keep it whole, plus a reserve for the machine's errors. ``"auto"``: torque
            compensation, at least that reserve and at most the bound; it breaks fewer rows.
        longest_chain: qubits that a chain may have: fewer rows fit at once then, or none; None (the
            default) for any number.
        replicas: ``"fill"`` fills the room that the last submission leaves with copies of its rows:
            every read of it then is several of such a row (docs/throughput.md). Rows that need
            reads most get most. None (the default): every row sits once.
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
    # The parameters by name: they are listed once, above.
    attention, recipe = prepare(**locals())
    return CompiledAttention.of(lower(recipe, attention))


_DEFAULTS: dict[str, Any] = {
    name: parameter.default
    for name, parameter in signature(compile).parameters.items()
    if parameter.default is not parameter.empty
}


def prepare(
    scores: Scores, heads: int | Sequence[Head] | None = None, **options: Unpack[Options]
) -> tuple[Attention, Recipe]:
    """Return the checked input of `compile` and how it will be compiled.

    Options that are left out have the defaults of `compile`. Errors are those of `compile`, but
    for what compiling itself raises.
    """
    check_names("compile", options, _DEFAULTS)
    complete = cast(Options, _DEFAULTS | options)
    attention = Attention.check(
        scores,
        None if heads is None else count_heads(heads),
        values=complete["values"],
        keys=complete["keys"],
        mask=complete["mask"],
        kv_head=complete["kv_head"],
        required=complete["required"],
        forbidden=complete["forbidden"],
        output_projection=complete["output_projection"],
        carried=complete["carried"],
        queries=complete["queries"],
    )
    if complete["objective"] is None:
        complete["objective"] = usual_objective(attention.values is not None)
    count = attention.shape[0]
    return attention, recipe_of(count if heads is None else heads, count, complete)
