"""``use_annealed_attention``: annealed attention in a model, for as long as it is asked for."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Hashable, Mapping, Sequence
from types import TracebackType
from typing import Any

from torch import nn

from qubo_attn.common.checks import flag, instance
from qubo_attn.common.keywords import check_names, names_of
from qubo_attn.compilation.options import DEFAULT_SELECT
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.errors import InputError
from qubo_attn.frontend.plan import Plan
from qubo_attn.frontend.select import Select
from qubo_attn.torch.annealing import MODEL_SOLVER, Annealing
from qubo_attn.torch.interface import NAME, STATE, output_projection, register_layers
from qubo_attn.torch.layer_report import AnnealedLayer, ModelReport
from qubo_attn.torch.module import AnnealedAttention
from qubo_attn.torch.places import (
    LayerName,
    Place,
    attention_places,
    chosen_layers,
    planned_layers,
)


class AnnealedModel:
    """A model with annealed attention, until `restore`; made by `use_annealed_attention`.

    Attributes:
        model: the model.
        layers: the annealed layers by name, in the order of the model.
    """

    def __init__(
        self,
        model: nn.Module,
        places: Mapping[str, Place],
        hows: Mapping[str, Annealing],
        keep: bool,
    ) -> None:
        self.model = model
        self.layers: dict[str, AnnealedLayer] = {}
        self._places = {name: places[name] for name in hows}
        self._stands = True
        put: dict[int, nn.Module] = {}
        layers = {name: _layer(model, places[name], name, how, keep) for name, how in hows.items()}
        for name, layer in layers.items():
            owner, attribute = places[name]
            if not isinstance(layer.before, nn.Module):
                setattr(owner, attribute, _configuration(layer))
            else:
                # A layer that stands in several places stays one layer.
                if id(layer.before) not in put:
                    put[id(layer.before)] = _attention(layer)
                layer = getattr(put[id(layer.before)], STATE)
                setattr(owner, attribute, put[id(layer.before)])
            self.layers[name] = layer
        encoders = model.modules() if put else ()
        self._nested = [
            module
            for module in encoders
            if isinstance(module, nn.TransformerEncoder) and module.use_nested_tensor
        ]
        for encoder in self._nested:
            # Decided when the encoder was made, from the attention it had then.
            encoder.use_nested_tensor = False

    def restore(self) -> None:
        """Put back what was there; what a later use put on top stays. Later calls do nothing."""
        if not self._stands:
            return
        self._stands = False
        for name, (owner, attribute) in self._places.items():
            layer, top = self.layers[name], getattr(owner, attribute)
            if getattr(top, STATE, None) is layer:
                setattr(owner, attribute, layer.before)
                continue
            later = getattr(top, STATE, None)
            while later is not None and getattr(later.before, STATE, None) is not layer:
                later = getattr(later.before, STATE, None)
            if later is not None:
                later.before = layer.before
        for encoder in self._nested:
            encoder.use_nested_tensor = True

    def report(self) -> ModelReport:
        """Return rows, feasible and proven ones, output error and seconds of each layer so far."""
        return ModelReport(tuple(layer.report() for layer in _once(self.layers)))

    @property
    def results(self) -> dict[str, AttentionResult]:
        """The last result of each layer that was called, with ``keep_results=True``."""
        kept = {name: layer.result for name, layer in self.layers.items()}
        return {name: result for name, result in kept.items() if result is not None}

    def __enter__(self) -> AnnealedModel:
        if not self._stands:
            raise InputError("the model was restored; call use_annealed_attention again")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.restore()


def use_annealed_attention(
    model: nn.Module,
    select: Select = DEFAULT_SELECT,
    *,
    layers: Sequence[LayerName] | Mapping[LayerName, Select | Mapping[str, Any]] | None = None,
    plan: Plan | str | os.PathLike[str] | None = None,
    keep_results: bool = False,
    **options: Any,
) -> AnnealedModel:
    """Anneal the attention of a model: of transformers, or of torch's ``MultiheadAttention``.

    Serves decoders, encoders and vision models of transformers (4.53 and later) whose attention
    goes through the attention interface: grouped-query heads, padding on either side, caches,
    ``generate``, ``output_attentions``, training, compiled models. Layers that are not named keep
    their own implementation. Parameters of the model are not touched.

    Args:
        model: changed at once; `AnnealedModel.restore`, or the end of a ``with`` block, puts back
            what was there.
        select: what each query may keep.
        layers: which layers, by number in the order of the model (-1 for the last) or by name,
            ``*`` for any letters; all when None. Or a mapping of those to a select, or to options,
            that hold for this layer.
        plan: of `qubo_attn.calibrate`, or its file: which layers, and the select, objective, slots
            and heads of each. Layers that it does not name keep their own implementation.
        keep_results: keep the last result of each layer, for `AnnealedModel.results`.
        **options: see `Annealing`. The objective is ``"output"``. Rows are solved here, to proven
            optima where few steps prove them: the sampler is ``LocalSolver("auto", steps=20_000,
            sweeps=16)``. ``sampler=`` and ``target=`` send them to a machine.

    Returns:
        The annealed model, with ``report()`` and ``restore()``.

    Raises:
        InputError: the model has no such attention, or no such layer; or options that do not go
            together.
        MissingExtraError: the model is one of transformers older than 4.53.

    Example:
        >>> import torch
        >>> from qubo_attn import ExactlyK
        >>> model = torch.nn.TransformerEncoderLayer(8, 2, batch_first=True).eval()
        >>> with use_annealed_attention(model, ExactlyK(2)) as annealed:
        ...     output = model(torch.randn(1, 5, 8))
        >>> annealed.report().layers[0][:5]
        ('self_attn', 1, 10, 10, 10)
    """
    instance("model", model, nn.Module)
    flag("keep_results", keep_results)
    known = [*names_of(Annealing), *names_of(use_annealed_attention)]
    check_names("use_annealed_attention", options, known)
    if plan is not None:
        given = {"select": select is not DEFAULT_SELECT, "layers": layers is not None}
        layers = planned_layers(plan, [name for name in given if given[name]] + list(options))
    common: dict[str, Any] = {"sampler": MODEL_SOLVER, "select": select} | options
    hows: dict[str, Annealing] = {}
    shared: dict[frozenset[tuple[str, Hashable]], Annealing] = {}
    places = attention_places(model)
    for name, own in chosen_layers(places, layers).items():
        # Layers with the same options share one object, and so what was compiled with it.
        key = frozenset((option, _key(value)) for option, value in own.items())
        if key not in shared:
            shared[key] = Annealing(**(common | own))
        hows[name] = shared[key]
    return AnnealedModel(model, places, hows, keep_results)


def _key(value: object) -> Hashable:
    """Return what an option is the same by: itself, or that it is the same object."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def _layer(model: nn.Module, place: Place, name: str, how: Annealing, keep: bool) -> AnnealedLayer:
    """Return a layer that is to be annealed, with its output projection where one is needed."""
    owner, attribute = place
    before = getattr(owner, attribute)
    layer = AnnealedLayer(name, how, keep, before)
    if how.projects and not isinstance(before, nn.Module):
        parent, _, _ = name.rpartition(".")
        layer.linear = output_projection(name, owner, model.get_submodule(parent))
    return layer


def _configuration(layer: AnnealedLayer) -> Any:
    """Return the configuration that an annealed layer of transformers gets for itself."""
    register_layers()
    config: Any = copy.copy(layer.before)
    # The public name would change the configurations of parts as well, which other layers share.
    config._attn_implementation_internal = NAME
    setattr(config, STATE, layer)
    return config


def _attention(layer: AnnealedLayer) -> AnnealedAttention:
    """Return annealed attention in the place of torch's, which notes every call."""
    attention = AnnealedAttention.from_attention(layer.before, layer.annealing)
    setattr(attention, STATE, layer)
    begun: list[float] = []

    def begin(*_: Any) -> None:
        begun[:] = [time.perf_counter()]

    def end(module: AnnealedAttention, *_: Any) -> None:
        layer.note(module.result, time.perf_counter() - begun.pop())

    attention.register_forward_pre_hook(begin)
    attention.register_forward_hook(end)
    return attention


def _once(layers: Mapping[str, AnnealedLayer]) -> list[AnnealedLayer]:
    """Return each layer once, in order."""
    return list({id(layer): layer for layer in layers.values()}.values())
