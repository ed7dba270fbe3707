"""``annealed_attention``: scores and values in, context and weights out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from qubo_attn.common.arrays import Array, Floats
from qubo_attn.common.checks import instance, share
from qubo_attn.common.tensors import as_array, check_tensor
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.errors import InputError
from qubo_attn.frontend.hidden import floor_of, hidden_keys
from qubo_attn.frontend.objectives import objective_named
from qubo_attn.frontend.vectors import read_owners
from qubo_attn.torch.annealing import Annealing
from qubo_attn.torch.drawn import Drawn
from qubo_attn.torch.sequences import LayerHeads
from qubo_attn.torch.weights import (
    boltzmann_weights,
    score_energies,
    selected_weights,
    softmax_weights,
)

_AXES = {"scores": ("batch", "head", "query", "key")}
_AXES |= dict.fromkeys(("values", "keys"), ("batch", "head", "key", "feature"))


class Attended(NamedTuple):
    """What `annealed_attention` returns.

    Attributes:
        context: shape (..., Q, d): weights times values and, where the objective has a background
            other than the mean, what the weights leave times that.
        weights: shape (..., Q, K).
        result: as the compiled rows decoded, in NumPy, shapes (H, Q, ...), H running over all axes
            before the queries; None where there is no row or no key.
    """

    context: Tensor
    weights: Tensor
    result: AttentionResult | None


# A compiled model breaks its graph here, as no compiler can look into the solver. The public
# torch.compiler.disable would load the compiler with this module, which takes a second.
@torch._disable_dynamo  # type: ignore[untyped-decorator]
def annealed_attention(
    scores: Tensor,
    values: Tensor,
    annealing: Annealing | None = None,
    *,
    keys: Tensor | None = None,
    kv_head: Sequence[int] | None = None,
    output_projection: Tensor | None = None,
    carried: Floats | None = None,
    dropout_p: float = 0.0,
) -> Attended:
    """Select keys by annealing and return the attention over them.

    Gradients run to ``values`` as through any product, and to ``scores`` as ``annealing.backward``
    says; what is selected does not change with either.

    Args:
        scores: logits, shape (..., Q, K); -inf where masked, or as low as
            `qubo_attn.frontend.hidden` says. Any floating type; sampled in float64, weights come
            back in its own.
        values: shape (..., K, d), the axes before it those of the scores; with ``kv_head`` one for
            each key/value head. Those of a key that no query sees may be anything, NaN too.
        annealing: how; `Annealing` with its defaults when None. Hand in the same one every time,
            as it keeps what was compiled.
        keys: key vectors, of the shape of the values, for objectives that need them.
        kv_head: key/value head of each query head, the axis before the queries, where those come
            with fewer heads: ``[0, 0, 0, 1, 1, 1]``. Ties by key/value head need it.
        output_projection: W_O, shape (model, heads * d) or (heads, d, model): errors are then
            measured behind it. It gets no gradient from here.
        carried: what earlier calls leave to carried backgrounds: their ``result.carried``. It is a
            constant to gradients, as all backgrounds but the mean are.
        dropout_p: chance that a weight is dropped, the rest scaled up.

    Returns:
        Context, weights (after dropout) and the decoded result.

    Raises:
        InputError: a shape or a number does not fit, or a tensor has none (meta, nested, ...);
            names the argument, batch, head, query and key.
        EmbeddingError: a row does not fit the target.

    Example:
        >>> from qubo_attn import ExactlyK
        >>> scores = torch.tensor([[[2.0, 1.0, 0.5, -1.0]]], requires_grad=True)
        >>> values = torch.eye(4)[None]
        >>> how = Annealing(ExactlyK(2), objective="hard")
        >>> context, weights, result = annealed_attention(scores, values, how)
        >>> weights.detach()
        tensor([[[0.7311, 0.2689, 0.0000, 0.0000]]])
    """
    how = Annealing() if annealing is None else instance("annealing", annealing, Annealing)
    dropout_p = share("dropout_p", dropout_p)
    heads = _heads(scores, kv_head, output_projection)
    _check_shapes(scores, values, keys, heads)
    if heads.kv_head is not None:
        index = torch.tensor(heads.kv_head, device=scores.device)
        values = values.index_select(-3, index)
        keys = None if keys is None else keys.index_select(-3, index)
    scores = _without_hidden(scores)
    values = _vectors("values", values, scores)
    keys = None if keys is None else _vectors("keys", keys, scores)
    if not scores.numel():
        weights = torch.zeros_like(scores)
        return Attended(_product(weights, values), weights, None)
    seed = int(torch.randint(2**30, ()).item()) if how.seed is None else how.seed
    rows = None if keys is None else _rows("keys", keys)
    columns = _rows("scores", scores), _rows("values", values), rows
    drawn = how.draw(*columns, seed=seed, heads=heads, carried=carried)
    weights = AnnealedWeights.apply(scores, values.detach(), how, drawn)
    left = 1.0 - weights.sum(-1, keepdim=True)
    if dropout_p > 0.0:
        weights = torch.nn.functional.dropout(weights, dropout_p)
    context = _product(weights, values)
    if drawn.result.background is not None:
        context = context + left * _vectors_like(context, drawn.result.background)
    return Attended(context, weights, drawn.result)


class AnnealedWeights(torch.autograd.Function):  # type: ignore[misc]
    """Drawn weights forward, the gradient that `Annealing` asks for backward.

    Example:
        >>> from qubo_attn import ExactlyK
        >>> scores, values = torch.zeros(1, 1, 3, requires_grad=True), torch.zeros(1, 3, 1)
        >>> how = Annealing(ExactlyK(1), objective="hard", backward="energy")
        >>> drawn = how.draw(scores.detach().numpy(), values.numpy())
        >>> weights = AnnealedWeights.apply(scores, values, how, drawn)
        >>> weights.sum().backward()
        >>> bool((scores.grad == weights).all())
        True
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, values: Tensor, how: Annealing, drawn: Drawn) -> Tensor:
        """Return the weights of ``drawn``, in the shape and type of the scores."""
        ctx.save_for_backward(scores, values)
        ctx.how, ctx.drawn = how, drawn
        return _like(scores, drawn.weights, scores.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient of the scores."""
        scores, values = ctx.saved_tensors
        wide = torch.promote_types(scores.dtype, torch.float32)
        leaf = scores.detach().to(wide).requires_grad_()
        with torch.enable_grad():
            weights = _differentiable(leaf, values.to(wide), ctx.how, ctx.drawn)
        (result,) = torch.autograd.grad(weights, leaf, gradient.to(wide))
        return result.to(scores.dtype), None, None, None


def _differentiable(scores: Tensor, values: Tensor, how: Annealing, drawn: Drawn) -> Tensor:
    """Return what stands for the weights when a gradient is asked for."""
    if how.backward == "straight-through":
        return softmax_weights(scores)
    objective, background = objective_named(how.objective), None
    if drawn.values is not None:
        values = _vectors_like(scores, drawn.values)
    if drawn.background is not None:
        background = _vectors_like(scores, drawn.background)
    if how.forward == "soft" and how.backward == "exact":
        assert drawn.reads is not None
        assert drawn.share is not None
        return boltzmann_weights(
            scores,
            _like(scores, drawn.reads, scores.dtype, 1),
            _like(scores[..., 0], drawn.share, scores.dtype, 1),
            objective,
            temperature=how.temperature,
            values=values,
            background=background,
        )
    if how.backward == "exact":
        selected = _like(scores, drawn.result.selected, torch.bool)
        bare = drawn.result.background is not None
        return selected_weights(scores, selected, how.decoding, background=bare)
    amounts = drawn.weights if how.forward == "soft" else drawn.result.selected
    kept = _like(scores, amounts, scores.dtype)
    return -score_energies(scores, kept, objective, values, background)


def _rows(name: str, tensor: Tensor) -> Floats:
    """Return a tensor as the compiler takes it, all axes before the last two as one."""
    array: Floats = as_array(name, tensor)
    return array.reshape(int(np.prod(array.shape[:-2])), *array.shape[-2:])


def _without_hidden(scores: Tensor) -> Tensor:
    """Return scores with -inf for all keys that are hidden by their value."""
    _check_numbers("scores", torch.isnan(scores) | (scores == torch.inf), scores)
    hidden = hidden_keys(_rows("scores", scores), floor_of(scores))
    return scores.masked_fill(_like(scores, hidden, torch.bool), -torch.inf)


def _vectors(name: str, vectors: Tensor, scores: Tensor) -> Tensor:
    """Return vectors with zeros for keys that no query sees: zero times NaN would be NaN."""
    blind = ~(scores > -torch.inf).any(-2)
    vectors = vectors.masked_fill(blind[..., None], 0.0)
    _check_numbers(name, ~torch.isfinite(vectors), vectors)
    return vectors


def _product(weights: Tensor, values: Tensor) -> Tensor:
    """Return the context, in the wider of both types."""
    wide = torch.promote_types(weights.dtype, values.dtype)
    return weights.to(wide) @ values.to(wide)


def _like(scores: Tensor, array: Array, dtype: Any, extra: int = 0) -> Tensor:
    """Return an array of rows in the shape of ``scores``, after ``extra`` axes of its own."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.reshape(*array.shape[:extra], *scores.shape).to(scores.device, dtype)


def _vectors_like(scores: Tensor, vectors: Floats) -> Tensor:
    """Return vectors of shape (H, n, d) with the axes of scores before the last two."""
    tensor = torch.tensor(vectors)
    return tensor.reshape(*scores.shape[:-2], *vectors.shape[1:]).to(scores.device, scores.dtype)


def _heads(
    scores: Tensor, kv_head: Sequence[int] | None, output_projection: Tensor | None
) -> LayerHeads:
    """Return what is known of the heads of one sequence."""
    check_tensor("scores", scores, floating=True)
    count = scores.shape[-3] if scores.ndim > 2 else 1
    if kv_head is not None and scores.ndim < 3:
        raise InputError(
            f"scores have shape {tuple(scores.shape)}: kv_head needs an axis of heads before the "
            "queries",
            argument="kv_head",
        )
    owners = None if kv_head is None else tuple(read_owners(kv_head, count).tolist())
    if output_projection is not None:
        check_tensor("output_projection", output_projection, floating=True)
        output_projection = as_array("output_projection", output_projection)
    return LayerHeads(count, owners, output_projection)


def _check_shapes(scores: Tensor, values: Tensor, keys: Tensor | None, heads: LayerHeads) -> None:
    if scores.ndim < 2:
        raise InputError(
            f"scores have shape {tuple(scores.shape)}; expected (..., queries, keys)",
            argument="scores",
            shape=tuple(scores.shape),
        )
    expected = (*scores.shape[:-2], scores.shape[-1])
    if heads.kv_head is not None:
        expected = (*scores.shape[:-3], max(heads.kv_head) + 1, scores.shape[-1])
    given = {"values": values} if keys is None else {"values": values, "keys": keys}
    for name, vectors in given.items():
        check_tensor(name, vectors, floating=True)
        if tuple(vectors.shape[:-1]) != expected:
            raise InputError(
                f"{name} have shape {tuple(vectors.shape)}; expected {expected} and the width: one "
                "vector for each key of the scores",
                argument=name,
                shape=tuple(vectors.shape),
            )
        if vectors.device != scores.device:
            raise InputError(
                f"{name} are on {vectors.device}, scores on {scores.device}", argument=name
            )


def _check_numbers(name: str, wrong: Tensor, tensor: Tensor) -> None:
    if wrong.any():
        place = [int(index) for index in wrong.nonzero()[0]]
        named = dict(zip(_AXES[name][-len(place) :], place[-4:], strict=False))
        where = ", ".join(f"{axis} {index}" for axis, index in named.items())
        number = float(tensor.detach()[tuple(place)])
        raise InputError(
            f"{name} hold {number} at {where} ({int(wrong.sum())} such entries): mask "
            "keys with -inf; if training diverged, lower the learning rate",
            **{"argument": name, **named},
        )
