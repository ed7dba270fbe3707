"""``capture``: scores, values and keys of a model's layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from qubo_attn.common.checks import whole
from qubo_attn.common.keywords import named
from qubo_attn.errors import InputError
from qubo_attn.frontend.captured import CapturedAttention

if TYPE_CHECKING:
    from torch import Tensor, nn


@overload
def capture(
    model: nn.Module,
    inputs: Mapping[str, Any] | Tensor | str,
    layer: int | str,
    *,
    item: int = ...,
    call: int | None = ...,
    tokenizer: Any = ...,
) -> CapturedAttention: ...


@overload
def capture(
    model: nn.Module,
    inputs: Mapping[str, Any] | Tensor | str,
    layer: Sequence[int | str] | None = ...,
    *,
    item: int = ...,
    call: int | None = ...,
    tokenizer: Any = ...,
) -> dict[str, CapturedAttention]: ...


@named
def capture(
    model: nn.Module,
    inputs: Mapping[str, Any] | Tensor | str,
    layer: int | str | Sequence[int | str] | None = None,
    *,
    item: int = 0,
    call: int | None = None,
    tokenizer: Any = None,
) -> CapturedAttention | dict[str, CapturedAttention]:
    """Run a model of transformers once, and return the scores, values and keys of its layers.

    Works with every implementation of attention, such as ``"sdpa"``, which returns no attentions.
    The model runs in evaluation mode without gradients, and is afterwards as it was. Scores are
    what stands before softmax, with masks: softmax of them times the values is what the heads
    return. Needs the extra ``[transformers]``.

    Args:
        model: any that goes through transformers' attention interface, see docs/models.md.
        inputs: what the model is called with: tensors by name, as a tokenizer or an image processor
            returns them, one tensor, or a text.
        layer: one layer, by number in the order of the model (-1 for the last) or by name. Several
            as a list of those, ``*`` in names for any letters; all when None.
        item: which sequence of the batch. Queries that its ``attention_mask`` calls padding see no
            key.
        call: which call of a layer that the model calls several times, as ALBERT does; -1 for the
            last. None where there is one call.
        tokenizer: of the text; the texts of the tokens are returned then as well.

    Returns:
        A `CapturedAttention` of the one layer, or a dict of them by name. Compile it with
        ``qa.compile(**captured.arrays)``; save it with ``np.savez(path, **captured.arrays)``.

    Raises:
        InputError: the model has no such attention, layer or sequence, or a layer is called never
            or several times; names the layer.
        MissingExtraError: torch is not installed, or transformers 4.53 or later.

    Example:
        >>> import torch, transformers, qubo_attn as qa
        >>> config = transformers.LlamaConfig(
        ...     vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=2,
        ...     num_attention_heads=4, num_key_value_heads=2)
        >>> model = transformers.LlamaForCausalLM(config)
        >>> captured = qa.capture(model, {"input_ids": torch.arange(6)[None]}, layer=-1)
        >>> captured.layer, captured.scores.shape, captured.values.shape
        ('model.layers.1.self_attn', (4, 6, 6), (2, 6, 4))
        >>> captured.kv_head
        array([0, 0, 1, 1])
        >>> compiled = qa.compile(**captured.arrays, select=qa.ExactlyK(2), target=None)
    """
    from qubo_attn.torch.capturing import captured_calls

    single = isinstance(layer, (int, str)) and not isinstance(layer, bool)
    layers: Any = [layer] if single else layer
    calls = captured_calls(model, inputs, layers, item=item, tokenizer=tokenizer)
    if single and len(calls) > 1:
        names = list(calls)
        raise InputError(
            f"layer {layer!r} is {len(names)} layers ({names[0]}, {names[1]}, ...): give a list",
            argument="layer",
        )
    captured = {name: _one(name, of_layer, call) for name, of_layer in calls.items()}
    return next(iter(captured.values())) if single else captured


def _one(name: str, calls: tuple[CapturedAttention, ...], call: int | None) -> CapturedAttention:
    """Return the call that is asked for."""
    count = len(calls)
    if call is None and count > 1:
        raise InputError(
            f"layer {name} was called {count} times: say which by call=0 to call={count - 1}",
            argument="call",
            layer=name,
        )
    if call is None:
        return calls[0]
    negative = isinstance(call, int) and call < 0
    return calls[whole("call", call + count if negative else call, most=count - 1)]
