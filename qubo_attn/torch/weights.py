"""Attention weights as functions of scores, for gradients: what was sampled is a constant.

All are plain torch, so their derivatives are exact. Scores have shape (..., Q, K), -inf where a
query may not see a key; a row that sees nothing has zero weights and zero gradients.

The energies are those of `qubo_attn.frontend.objectives`, key by key, a coupler's half to each end.
Their gradient at fixed bits is what QAMA (Du et al., arXiv 2504.11083v1) sends back through
its annealer, ``dE/dh_i = -w_i`` and ``dE/dJ_ij = -w_i w_j``; see
`qubo_attn.frontend.qama.energy_gradient`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from qubo_attn.errors import InputError
from qubo_attn.frontend.objectives import Boltzmann, Hard, Objective, Output, Redundancy, Selection

# Decoders that are functions of scores and a selection; see `qubo_attn.decoding.decoders`.
DECODERS = ("renormalise", "residual")


def softmax_weights(scores: Tensor) -> Tensor:
    """Return softmax over the keys that each row sees.

    Example:
        >>> softmax_weights(torch.tensor([[0.0, 0.0], [-torch.inf, -torch.inf]]))
        tensor([[0.5000, 0.5000],
                [0.0000, 0.0000]])
    """
    blind = ~(scores > -torch.inf).any(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(blind, 0.0), -1).masked_fill(blind, 0.0)


def selected_weights(
    scores: Tensor,
    selected: Tensor,
    decoder: str = "renormalise",
    *,
    background: bool = False,
) -> Tensor:
    """Return the weights of selected keys, at a fixed selection.

    Args:
        scores: shape (..., Q, K).
        selected: bool, shape (..., Q, K).
        decoder: ``"renormalise"`` (softmax over the selected keys) or ``"residual"`` (softmax
            weights of the selected keys, what is left shared by all visible ones).
        background: whether ``"residual"`` leaves the rest to a background other than the mean.

    Raises:
        InputError: the decoder is no function of scores and a selection.

    Example:
        >>> scores, selected = torch.zeros(1, 3), torch.tensor([[True, True, False]])
        >>> selected_weights(scores, selected)
        tensor([[0.5000, 0.5000, 0.0000]])
    """
    if decoder == "renormalise":
        return softmax_weights(scores.masked_fill(~selected, -torch.inf))
    if decoder != "residual":
        raise InputError(
            f"decoder {decoder!r} has no gradient given a selection; one of {', '.join(DECODERS)}",
            decoder=decoder,
        )
    visible = scores > -torch.inf
    chosen = softmax_weights(scores).masked_fill(~selected, 0.0)
    if background:
        return chosen
    size = visible.sum(-1, keepdim=True).clamp(min=1)
    return chosen + visible * (1.0 - chosen.sum(-1, keepdim=True)) / size


def score_energies(
    scores: Tensor,
    selected: Tensor,
    objective: Objective,
    values: Tensor | None = None,
    background: Tensor | None = None,
) -> Tensor:
    """Return what each key adds to its row's energy, at a fixed selection.

    Terms in which no score stands (the similarities of ``redundancy``, the couplings of
    ``boltzmann``) are left out: their gradient is zero. Otherwise a row adds up to
    ``AttentionResult.energies``.

    Args:
        scores: shape (..., Q, K).
        selected: zeros and ones, or bool, shape (..., Q, K); axes before those of the scores run
            over reads.
        objective: ``hard``, ``boltzmann``, ``redundancy``, ``selection`` or ``output``.
        values: shape (..., K, d), for ``output``.
        background: of ``output``, shape (..., Q, d); the mean value when None.

    Returns:
        Shape of ``selected``.

    Raises:
        InputError: the objective has no such energies here.

    Example:
        >>> from qubo_attn import Hard
        >>> scores = torch.tensor([[2.0, 1.0, 0.5]], requires_grad=True)
        >>> chosen = torch.tensor([[1.0, 0.0, 1.0]])
        >>> score_energies(scores, chosen, Hard()).sum().backward()
        >>> scores.grad
        tensor([[-1., -0., -1.]])
    """
    finite = scores.masked_fill(scores == -torch.inf, 0.0)
    z = selected.to(scores.dtype)
    if isinstance(objective, Hard | Boltzmann | Redundancy):
        return -finite * z
    if isinstance(objective, Selection):
        scored = finite * z
        others = scored.sum(-1, keepdim=True) - scored
        return (objective.alpha - finite) * z + objective.alpha * scored * others
    if isinstance(objective, Output) and values is not None:
        weights, visible = softmax_weights(scores), scores > -torch.inf
        mean = background
        if mean is None:
            mean = (visible.to(scores.dtype) @ values) / visible.sum(-1, keepdim=True).clamp(min=1)
        # w_i = p_i (v_i - vbar) only ever meets a sum over keys, so no (Q, K, d) array is made.
        full_sum = weights @ values - mean * weights.sum(-1, keepdim=True)
        chosen = weights * z
        selected_sum = chosen @ values - mean * chosen.sum(-1, keepdim=True)
        reach = selected_sum - 2.0 * full_sum
        return chosen * (reach @ values.mT - (reach * mean).sum(-1, keepdim=True))
    check_energies(objective)
    raise InputError("energies of 'output' need values", argument="values")


def check_energies(objective: Objective) -> None:
    """Reject an objective without `score_energies`.

    Raises:
        InputError: names it.
    """
    if not isinstance(objective, Hard | Boltzmann | Redundancy | Selection | Output):
        raise InputError(
            "energies as functions of scores are there for hard, boltzmann, redundancy, selection "
            f"and output, not {objective.name!r}; use backward='straight-through'",
            objective=objective.name,
        )


def boltzmann_weights(
    scores: Tensor,
    reads: Tensor,
    share: Tensor,
    objective: Objective,
    *,
    temperature: float = 1.0,
    values: Tensor | None = None,
    background: Tensor | None = None,
    sampled_at: Tensor | None = None,
) -> Tensor:
    """Return the marginals of sampled selections, over their sum.

    The reads are reweighted from the scores at which they were sampled to ``scores``. If the two
    are equal, this is the mean of the reads. Its derivative is exactly that of a Boltzmann
    expectation at that temperature, ``d<z_i>/ds_j = -Cov(z_i, dE/ds_j) / T``, over these reads.

    Args:
        scores: shape (..., Q, K).
        reads: zeros and ones, shape (reads, ..., Q, K).
        share: what each read counts in each row, not negative, shape (reads, ..., Q).
        objective: see `score_energies`.
        temperature: T of the sampler, in units of the energy (logits, but for ``output``).
        values, background: see `score_energies`.
        sampled_at: the scores at which the reads were sampled; ``scores`` when None.

    Returns:
        Shape (..., Q, K); rows add up to 1, or to 0 where no read selects anything.

    Example:
        >>> from qubo_attn import Hard
        >>> reads = torch.eye(2)[:, None]  # each of two keys once, in one row
        >>> boltzmann_weights(torch.zeros(1, 2), reads, torch.ones(2, 1), Hard())
        tensor([[0.5000, 0.5000]])
    """
    given = objective, values, background
    energy = score_energies(scores, reads, *given).sum(-1)
    at = (scores if sampled_at is None else sampled_at).detach()
    before = score_energies(at, reads, *given).sum(-1).detach()
    chance = torch.softmax(share.log() - (energy - before) / temperature, 0)
    marginal = (chance.unsqueeze(-1) * reads.to(scores.dtype)).sum(0)
    total = marginal.sum(-1, keepdim=True)
    return marginal / torch.where(total > 0, total, 1.0)
