"""``AnnealedAttention``: multi-head attention whose keys are selected by annealing."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from qubo_attn.common.arrays import Floats
from qubo_attn.common.checks import instance, whole
from qubo_attn.common.keywords import check_names, names_of
from qubo_attn.common.tensors import check_tensor
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.errors import InputError
from qubo_attn.torch.annealing import Annealing
from qubo_attn.torch.functional import annealed_attention
from qubo_attn.torch.masks import additive_mask, masked_scores

# What both layers are made of; the rest of their state is the annealer's.
_PARAMETERS = (
    "in_proj_weight",
    "q_proj_weight",
    "k_proj_weight",
    "v_proj_weight",
    "in_proj_bias",
    "bias_k",
    "bias_v",
)


# What may be said by name, for messages on what may not.
_OPTIONS = (*names_of(nn.MultiheadAttention.__init__), *names_of(Annealing))


class AnnealedAttention(nn.MultiheadAttention):  # type: ignore[misc]
    """`torch.nn.MultiheadAttention` with annealed selections in place of softmax.

    Arguments, parameters, their names and first values are those of ``MultiheadAttention``, so
    that state dictionaries load both ways. A row that sees no key has zero weights, not NaN.

    Args:
        embed_dim, num_heads, dropout, bias, add_bias_kv, add_zero_attn: see
            `torch.nn.MultiheadAttention`. The keys that ``add_bias_kv`` and ``add_zero_attn``
            append are selected among as any other.
        kdim, vdim, batch_first, device, dtype: likewise.
        **options: see `Annealing`.

    Attributes:
        annealing: those options, and what was compiled with them.
        result: of the last call, as `Attended.result`; None before the first.
        carried: what earlier calls leave to carried backgrounds, None at first. To hand it on, set
            it to ``layer.result.carried``.

    Raises:
        InputError: options that do not go together, and from ``forward`` masks and inputs that do
            not fit.

    Example:
        >>> from qubo_attn import ExactlyK
        >>> _ = torch.manual_seed(0)
        >>> layer = AnnealedAttention(8, 2, batch_first=True, select=ExactlyK(2))
        >>> x = torch.randn(3, 5, 8)
        >>> context, weights = layer(x, x, x)
        >>> context.shape, weights.shape
        (torch.Size([3, 5, 8]), torch.Size([3, 5, 5]))
        >>> layer.result.selected.sum(axis=-1).tolist()[0]
        [2, 2, 2, 2, 2]
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        check_names("AnnealedAttention", options, _OPTIONS)
        if whole("embed_dim", embed_dim, 1) % whole("num_heads", num_heads, 1):
            raise InputError(
                f"embed_dim ({embed_dim}) must be a multiple of num_heads ({num_heads})",
                argument="num_heads",
            )
        super().__init__(
            embed_dim,
            num_heads,
            dropout,
            bias,
            add_bias_kv,
            add_zero_attn,
            kdim,
            vdim,
            batch_first,
            device,
            dtype,
        )
        self.annealing = Annealing(**options)
        self.result: AttentionResult | None = None
        self.carried: Floats | None = None

    @classmethod
    def from_attention(
        cls, attention: nn.MultiheadAttention, annealing: Annealing | None = None, **options: Any
    ) -> AnnealedAttention:
        """Return annealed attention on the parameters of an attention layer; they are shared.

        Args:
            attention: the layer.
            annealing: shared with other layers; made of the options when None.
            **options: see `Annealing`.

        Example:
            >>> attention = torch.nn.MultiheadAttention(8, 2)
            >>> layer = AnnealedAttention.from_attention(attention, objective="hard")
            >>> layer.in_proj_weight is attention.in_proj_weight
            True
        """
        instance("attention", attention, nn.MultiheadAttention)
        layer = cls(
            attention.embed_dim,
            attention.num_heads,
            attention.dropout,
            attention.in_proj_bias is not None,
            attention.bias_k is not None,
            attention.add_zero_attn,
            attention.kdim,
            attention.vdim,
            attention.batch_first,
            "meta",
            **options,
        )
        for name in _PARAMETERS:
            setattr(layer, name, getattr(attention, name))
        layer.out_proj = attention.out_proj
        if annealing is not None:
            layer.annealing = instance("annealing", annealing, Annealing)
        return layer.train(attention.training)  # type: ignore[no-any-return]

    def _reset_parameters(self) -> None:
        """Draw first values, at the end of ``MultiheadAttention.__init__`` and when asked to."""
        self._qkv_same_embed_dim = self.in_proj_weight is not None
        super()._reset_parameters()
        # In eval mode without gradients, TransformerEncoderLayer computes softmax itself from the
        # weights of its self_attn, which it never calls, and TransformerEncoder makes nested
        # tensors. Both ask this flag first. Torch has no public switch for a single layer: hooks
        # stop the layer in recent versions alone, and the encoder in none.
        self._qkv_same_embed_dim = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state | {"result": None, "carried": None})

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return context and, where asked for, weights, as ``MultiheadAttention`` does.

        Args:
            query, key, value: shape (N, L, E), (N, S, E_k), (N, S, E_v) with ``batch_first``,
                (L, N, E) and so on without, or (L, E) and so on for a single sequence.
            key_padding_mask: shape (N, S), or (S,): bool, true where a key is not seen, or floats
                that are added to the logits, of which -9,000 and lower hide a key.
            need_weights: return weights as well.
            attn_mask: bool or floats likewise, shape (L, S) or (N num_heads, L, S).
            average_attn_weights: return the mean over heads of the weights.
            is_causal: says that ``attn_mask``, which must be given, is causal; it is applied in
                any case.

        Returns:
            Context in the layout of the query, and weights, shape (N, L, S) or (N, num_heads, L,
            S), or None.

        Raises:
            InputError: see the class.
            EmbeddingError: a row does not fit the target.
        """
        self._check_inputs(query, key, value)
        if is_causal and attn_mask is None:
            raise InputError(
                "is_causal says that attn_mask is causal, and there is none; give "
                "torch.nn.Transformer.generate_square_subsequent_mask(L)",
                argument="is_causal",
            )
        batched = query.dim() == 3
        if not batched:
            query, key, value = query[None], key[None], value[None]
        elif not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        batch, queries, keys = len(query), query.shape[1], key.shape[1]
        masks = []
        if attn_mask is not None:
            flat = (batch * self.num_heads, queries, keys)
            mask = additive_mask("attn_mask", attn_mask, [(queries, keys), flat], query)
            masks.append(mask if mask.dim() == 2 else mask.unflatten(0, (batch, -1)))
        if key_padding_mask is not None:
            shape = (batch, keys) if batched else (keys,)
            mask = additive_mask("key_padding_mask", key_padding_mask, [shape], query)
            masks.append(mask.view(batch, 1, 1, keys))
            # Padding may hold anything, and zero times NaN would be NaN.
            hidden = (mask == -torch.inf).view(batch, keys, 1)
            key, value = key.masked_fill(hidden, 0.0), value.masked_fill(hidden, 0.0)
        q, k, v = self._project(query, key, value)
        scores = q @ k.mT / math.sqrt(self.head_dim)
        for mask in masks:
            scores = masked_scores(scores, mask)
        context, weights, self.result = annealed_attention(
            scores,
            v,
            self.annealing,
            keys=k,
            output_projection=self.out_proj.weight if self.annealing.projects else None,
            carried=self.carried,
            dropout_p=self.dropout if self.training else 0.0,
        )
        context = self.out_proj(context.transpose(1, 2).reshape(batch, queries, self.embed_dim))
        if not batched:
            context, weights = context[0], weights[0]
        elif not self.batch_first:
            context = context.transpose(0, 1)
        if not need_weights:
            return context, None
        return context, weights.mean(-3) if average_attn_weights else weights

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Return query, key and value vectors, shape (N, heads, tokens, head_dim)."""
        weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        if self.in_proj_weight is not None:
            weights = self.in_proj_weight.chunk(3)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        try:
            projected = [
                functional.linear(x, weight, bias)
                for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
            ]
        except RuntimeError as error:
            parameter = next(self.parameters())
            raise InputError(
                f"query, key and value ({query.dtype}, {query.device}) do not fit the layer's "
                f"parameters ({parameter.dtype}, {parameter.device}): {error}",
                argument="query",
            ) from error
        if self.bias_k is not None:
            for place, bias in ((1, self.bias_k), (2, self.bias_v)):
                projected[place] = torch.cat([projected[place], bias.expand(len(query), 1, -1)], 1)
        if self.add_zero_attn:
            projected[1:] = [functional.pad(x, (0, 0, 0, 1)) for x in projected[1:]]
        return [x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in projected]

    def _check_inputs(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        for name, tensor in (("query", query), ("key", key), ("value", value)):
            if getattr(tensor, "is_nested", False):
                raise InputError(
                    f"{name} is a nested tensor; make TransformerEncoder with "
                    "enable_nested_tensor=False",
                    argument=name,
                )
            check_tensor(name, tensor, floating=True)
        shapes = [tuple(x.shape) for x in (query, key, value)]
        batch = 0 if self.batch_first else 1
        fit = (
            query.dim() in (2, 3)
            and query.dim() == key.dim() == value.dim()
            and [shape[-1] for shape in shapes] == [self.embed_dim, self.kdim, self.vdim]
            and shapes[1][:-1] == shapes[2][:-1]
            and (query.dim() == 2 or shapes[0][batch] == shapes[1][batch])
        )
        if not fit:
            layout = "(N, tokens, width)" if self.batch_first else "(tokens, N, width)"
            raise InputError(
                f"query, key and value have shapes {shapes[0]}, {shapes[1]}, {shapes[2]}; expected "
                f"{layout} or (tokens, width), widths {self.embed_dim}, {self.kdim}, {self.vdim}, "
                "key and value with the same tokens",
                argument="query",
            )


def replace_attention(model: nn.Module, **options: Any) -> list[str]:
    """Put annealed attention in the place of every `torch.nn.MultiheadAttention` of a model.

    Parameters are shared with what was there, so optimisers keep working. `use_annealed_attention`
    does so for a while, and serves models of transformers as well.

    Args:
        model: changed in place.
        **options: see `Annealing`.

    Returns:
        The names of the layers replaced.

    Raises:
        InputError: the model is itself such a layer, or holds none.

    Example:
        >>> from qubo_attn import ExactlyK
        >>> model = torch.nn.TransformerEncoderLayer(8, 2, batch_first=True)
        >>> replace_attention(model, select=ExactlyK(2))
        ['self_attn']
    """
    instance("model", model, nn.Module)
    layers = [
        (name, module)
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, nn.MultiheadAttention) and not isinstance(module, AnnealedAttention)
    ]
    if not layers or layers[0][0] == "":
        raise InputError(
            "the model is itself a MultiheadAttention: use AnnealedAttention.from_attention"
            if layers
            else "the model holds no torch.nn.MultiheadAttention; for a model of transformers call "
            "qubo_attn.torch.use_annealed_attention(model, ...)",
            argument="model",
        )
    # A layer that stands in several places stays one layer.
    annealed = {layer: AnnealedAttention.from_attention(layer, **options) for _, layer in layers}
    for name, layer in layers:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, annealed[layer])
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoder):
            # Decided when the encoder was made, from the attention it had then.
            module.use_nested_tensor = False
    return [name for name, _ in layers]
