"""Where attention stands in a model, and which layers are meant by numbers and names."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from torch import nn

from qubo_attn.common.checks import nearest, shown, whole
from qubo_attn.common.keywords import check_names, names_of
from qubo_attn.errors import InputError
from qubo_attn.frontend.plan import plan_of
from qubo_attn.frontend.select import Select
from qubo_attn.torch.annealing import Annealing

# What a module's own code names that asks transformers for its attention function.
_INTERFACE = "ALL_ATTENTION_FUNCTIONS"

# One layer by number or by name; names may hold ``*``.
LayerName = int | str


class Place(NamedTuple):
    """Where a layer stands: the attribute of an object that decides on its attention."""

    owner: nn.Module
    attribute: str


def attention_places(model: nn.Module) -> dict[str, Place]:
    """Return where each attention of a model stands, by name.

    Raises:
        InputError: there is none.
    """
    places: dict[str, Place] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            if not name:
                raise InputError(
                    "the model is itself a MultiheadAttention: use "
                    "AnnealedAttention.from_attention",
                    argument="model",
                )
        elif _asks_transformers(module):
            places[name] = Place(module, "config")
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, nn.MultiheadAttention):
            parent, _, child = name.rpartition(".")
            places[name] = Place(model.get_submodule(parent), child)
    if not places:
        raise InputError(
            f"{type(model).__name__} holds no torch.nn.MultiheadAttention, and no attention that "
            f"goes through transformers' attention interface ({_INTERFACE}){_later_release()}",
            argument="model",
        )
    order = [name for name, _ in model.named_modules(remove_duplicate=False) if name in places]
    return {name: places[name] for name in order}


def _later_release() -> str:
    """Return which release of transformers may help, where an older one is loaded."""
    version = getattr(sys.modules.get("transformers"), "__version__", "5")
    if int(version.split(".")[0]) >= 5:
        return ""
    return (
        f"; transformers {version} is installed, and BERT, ALBERT and others go through it since "
        "5.0: pip install 'transformers>=5'"
    )


def _asks_transformers(module: nn.Module) -> bool:
    """Return whether a module's own code asks transformers for the attention function."""
    kinds = type(module).__mro__
    is_model = any(kind.__name__ == "PreTrainedModel" for kind in kinds)
    if is_model or not hasattr(getattr(module, "config", None), "_attn_implementation"):
        return False
    for kind in kinds:
        for member in vars(kind).values():
            code = getattr(inspect.unwrap(member), "__code__", None) if callable(member) else None
            if code is not None and _INTERFACE in code.co_names:
                return True
    return False


def chosen_layers(
    places: Mapping[str, Place],
    layers: Sequence[LayerName] | Mapping[LayerName, Select | Mapping[str, Any]] | None,
) -> dict[str, dict[str, Any]]:
    """Return the layers that are asked for, in the order of the model, with options of their own.

    Raises:
        InputError: a layer is none, or none is asked for; names it.
    """
    names = list(places)
    if layers is None:
        return {name: {} for name in names}
    if isinstance(layers, str) or not isinstance(layers, (Sequence, Mapping)):
        raise InputError(
            f"layers must be numbers or names of layers, not {shown(layers)}", argument="layers"
        )
    chosen: dict[str, dict[str, Any]] = {}
    for asked in layers:
        own = layers[asked] if isinstance(layers, Mapping) else {}
        own = dict(own) if isinstance(own, Mapping) else {"select": own}
        check_names("use_annealed_attention", own, names_of(Annealing))
        if isinstance(asked, str):
            met = [name for name in names if name == asked or fnmatchcase(name, asked)]
            if not met:
                close = nearest(asked, names) or "."
                raise InputError(
                    f"the model has no attention layer {asked!r}{close} It has "
                    f"{len(names)}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}",
                    argument="layers",
                )
        else:
            negative = isinstance(asked, int) and asked < 0
            number = whole("a layer", asked + len(names) if negative else asked, 0, len(names) - 1)
            met = [names[number]]
        chosen |= {name: chosen.get(name, {}) | own for name in met}
    if not chosen:
        raise InputError("layers names no layer", argument="layers")
    return {name: chosen[name] for name in names if name in chosen}


def planned_layers(plan: object, given: Sequence[str]) -> dict[LayerName, Mapping[str, Any]]:
    """Return the layers of a plan with their options.

    Args:
        plan: a `qubo_attn.Plan`, or the file of one.
        given: names of arguments given beside it.

    Raises:
        InputError: the plan has no layer, or one of those arguments is the plan's to give.
    """
    for name in given:
        if name in ("layers", "select", "objective", "slots", "heads"):
            raise InputError(f"give plan= or {name}=, not both: the plan says it", argument=name)
    options = plan_of(plan).options
    if not options:
        raise InputError(
            "the plan has no layer: none keeps its error; calibrate with a larger one or more keys",
            argument="plan",
        )
    return {name: options[name] for name in options}
