"""``calibrate``: which keys, slots, levels and background keep an error, layer by layer."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qubo_attn.common.arrays import Array
from qubo_attn.common.checks import MOST_SEED, number, one_of, several, shown, whole
from qubo_attn.common.keywords import named
from qubo_attn.compiler import compile
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.captured import CapturedAttention
from qubo_attn.frontend.files import read_attention
from qubo_attn.frontend.plan import LayerPlan, Plan, Setting
from qubo_attn.machine.reads import MOST_READS
from qubo_attn.machine.target import Target
from qubo_attn.models.search import Search, cheapest

if TYPE_CHECKING:
    from torch import Tensor, nn

    from qubo_attn.embedding.cache import EmbeddingCache

K = (2, 4, 8, 16, 32)


@named
def calibrate(
    source: nn.Module
    | str
    | os.PathLike[str]
    | Sequence[str | os.PathLike[str] | CapturedAttention],
    inputs: Mapping[str, Any] | Tensor | str | Sequence[Any] | None = None,
    *,
    error: float = 0.05,
    per: Literal["head", "layer"] = "head",
    k: Sequence[int] = K,
    levels: Sequence[int | None] = (None, 3),
    slots: Sequence[int | None] = (None,),
    backgrounds: Sequence[str] = ("mean",),
    layers: Sequence[int | str] | None = None,
    queries: int | None = 32,
    tokenizer: Any = None,
    target: Target | str | object | None = None,
    reads: int = 1000,
    cache: EmbeddingCache | str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> Plan:
    """Find the cheapest settings that keep an error, for each layer and head, on some texts.

    Settings are tried from the cheapest on: fewest keys first; for as many keys, those without
    levels first, then fewest levels, fewest slots, and backgrounds in their order. Each head takes
    the first that keeps the error. Rows are solved here, by the local solver, and decoded by
    ``residual``: the error is that of ``report()`` of an annealed model. A layer where a head finds
    none is listed in `Plan.left`, and keeps the model's own attention.

    Args:
        source: a model of transformers, see docs/models.md; or a file of attention that
            `read_attention` reads, or several, with values; or what `capture` returned. Files of
            one name, folders and endings aside, are texts of one layer.
        inputs: what the model is called with, see `capture`, or a list of several such; for a
            model alone.
        error: the budget: largest mean relative error of the output.
        per: whose error keeps it: that of each ``"head"``, which then have settings of their own,
            or the mean over the heads of a ``"layer"``, which have one setting.
        k: numbers of keys that may be kept.
        levels: numbers of levels (`SoftWeights`); None for keys that are kept or not.
        slots: numbers of keys to choose from; None is 16 or twice the keys, whichever is more.
        backgrounds: names, see `Output`.
        layers: which layers of a model, see `qubo_attn.torch.use_annealed_attention`; all when
            None.
        queries: how many queries of each head are measured, evenly spaced; all when None, and for
            a background other than the mean.
        tokenizer: of texts.
        target: a machine to count programmings and machine time on; none when None.
        reads: of each programming there.
        cache: of its embeddings, see `compile`.
        seed: of the solver and of the embedding search. The same call gives the same plan.

    Returns:
        The plan, for ``use_annealed_attention(model, plan=plan)``; printing it gives a table.

    Raises:
        InputError: an argument does not fit, or a layer has no values; names it.
        MissingExtraError: see `capture`.
        TargetError, EmbeddingError: see `compile`.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> rng = np.random.default_rng(0)
        >>> scores, values = 3 * rng.normal(size=(2, 8, 12)), rng.normal(size=(2, 12, 4))
        >>> layer = qa.CapturedAttention("attn", scores, values, values)
        >>> print(qa.calibrate([layer], error=0.1))
        layer  heads  k  slots  levels  background   error  largest
        attn   0-1    4     16       -  mean        0.0413   0.0473
        1 layer keeps an error of 0.1 of each head
    """
    machine, reads = Target.of(target), whole("reads", reads, 1, MOST_READS)
    search = Search(
        _settings(k, levels, slots, backgrounds),
        number("error", error, 0),
        one_of("per", per, ("head", "layer")),
        None if queries is None else whole("queries", queries, 1),
        whole("seed", seed, most=MOST_SEED),
    )
    kept: list[LayerPlan] = []
    left: list[LayerPlan] = []
    for name, attentions in _attentions(source, inputs, layers, tokenizer).items():
        layer, keeps = cheapest(name, attentions, search)
        if keeps and machine is not None:
            layer = _priced(layer, attentions, machine, reads, cache, search.seed)
        (kept if keeps else left).append(layer)
    where = None if machine is None else machine.label or str(machine)
    return Plan(search.error, search.per, tuple(kept), tuple(left), where, reads)


def _settings(k: Any, levels: Any, slots: Any, backgrounds: Any) -> tuple[Setting, ...]:
    """Return all settings, the cheapest first.

    Raises:
        InputError: an argument is no sequence, or holds what no setting takes, or nothing.
    """
    given = {"k": k, "levels": levels, "slots": slots, "backgrounds": backgrounds}
    numbers, steps, sizes, names = (several(name, entry) for name, entry in given.items())
    for name, entry in given.items():
        if not len(several(name, entry)):
            raise InputError(f"{name} is empty", argument=name)
    settings = [
        Setting(keys, level, max(16, 2 * whole("k", keys, 1)) if size is None else size, name)
        for keys in numbers
        for level in steps
        for size in sizes
        for name in names
    ]
    order = sorted(settings, key=lambda one: (one.k, one.levels or 0, one.slots))
    return tuple(dict.fromkeys(order))


def _attentions(
    source: Any, inputs: Any, layers: Any, tokenizer: Any
) -> dict[str, list[Attention]]:
    """Return what each layer had, by name.

    Raises:
        InputError: it is neither a model with inputs nor attention with values.
    """
    if isinstance(source, (str, os.PathLike)):
        source = [source]
    if not isinstance(source, Sequence):
        calls = _of_model(source, inputs, layers, tokenizer)
    else:
        for name, value in (("inputs", inputs), ("layers", layers)):
            if value is not None:
                raise InputError(f"{name}= is for models, and these are files", argument=name)
        calls = [_of_file(entry) for entry in source]
    if not calls:
        raise InputError("source is empty: there is no layer to calibrate", argument="source")
    read: dict[str, list[Attention]] = {}
    for name, arrays in calls:
        attention = Attention.check(
            arrays["scores"],
            **{n: arrays.get(n) for n in ("values", "mask", "kv_head")},
        )
        if attention.values is None:
            raise InputError(f"layer {name} has no values, which errors need", argument="values")
        same = read.setdefault(name, [])
        if same and same[0].shape[0] != attention.shape[0]:
            raise InputError(
                f"layer {name} has {same[0].shape[0]} heads in one text, and {attention.shape[0]} "
                "in another",
                layer=name,
            )
        same.append(attention)
    return read


def _of_model(model: Any, inputs: Any, layers: Any, tokenizer: Any) -> list[tuple[str, Any]]:
    """Return the names and arrays of a model's layers, over all texts."""
    from qubo_attn.torch.capturing import captured_calls

    if inputs is None:
        raise InputError("a model needs inputs=, the text to calibrate on", argument="inputs")
    texts = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    return [
        (name, call.arrays)
        for text in texts
        for name, calls in captured_calls(model, text, layers, tokenizer=tokenizer).items()
        for call in calls
    ]


def _of_file(entry: Any) -> tuple[str, Mapping[str, Array]]:
    """Return the name and the arrays of a layer from a file, or as it was captured."""
    if isinstance(entry, CapturedAttention):
        return entry.layer, entry.arrays
    if not isinstance(entry, (str, os.PathLike)):
        raise InputError(
            f"source must be a model of transformers, files of attention, or what "
            f"qubo_attn.capture returned, not {shown(entry)}",
            argument="source",
        )
    arrays = read_attention(entry)
    for name in ("required", "forbidden"):
        if name in arrays:
            raise InputError(f"{entry} holds {name} keys, which no plan keeps", file=str(entry))
    return Path(entry).stem, arrays


def _priced(
    layer: LayerPlan,
    attentions: Sequence[Attention],
    target: Target,
    reads: int,
    cache: Any,
    seed: int,
) -> LayerPlan:
    """Return the plan of a layer with programmings and machine time for all queries of its text."""
    programmings, time = 0, 0.0
    known = True
    for attention in attentions:
        compiled = compile(
            attention.logits,
            values=attention.values,
            target=target,
            cache=cache,
            seed=seed,
            **layer.options,
        )
        plan = compiled.schedule(reads)
        programmings += len(plan.calls)
        known = known and plan.microseconds is not None
        time += plan.microseconds or 0.0
    return dataclasses.replace(
        layer, programmings=programmings, microseconds=time if known else None
    )
