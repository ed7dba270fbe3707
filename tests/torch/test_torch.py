"""The torch layer: what it computes, what it sends back, and that it is really called."""

from __future__ import annotations

import copy
import inspect
import pickle
import runpy
from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dimod  # noqa: E402
from dwave.samplers import SteepestDescentSampler  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402
from torch.nn import functional  # noqa: E402

import qubo_attn as qa  # noqa: E402
from qubo_attn.frontend import qama  # noqa: E402
from qubo_attn.torch import (  # noqa: E402
    AnnealedAttention,
    Annealing,
    annealed_attention,
    boltzmann_weights,
    qama_attention,
    replace_attention,
    score_energies,
    selected_weights,
    softmax_weights,
)
from tests.conftest import ROOT  # noqa: E402

ALL = {"select": qa.ExactlyK(1000), "objective": "hard"}
TWO = {"select": qa.ExactlyK(2), "objective": "hard", "sampler_options": {"num_reads": 8}}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The matrices are tiny: threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def doubles(*shape: int, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def fixture(name: str) -> dict[str, Any]:
    with np.load(ROOT / "fixtures" / "attention" / f"{name}.npz") as file:
        return {key: file[key] for key in ("scores", "query", "key", "value", "kv_head")}


# -- the same layer ------------------------------------------------------------------------------


def test_signatures_are_those_of_multihead_attention() -> None:
    ours, theirs = (
        inspect.signature(cls).parameters for cls in (AnnealedAttention, nn.MultiheadAttention)
    )
    plain = {name: (p.default, p.kind) for name, p in theirs.items()}
    assert {name: (p.default, p.kind) for name, p in ours.items() if name in plain} == plain
    assert list(ours)[: len(plain)] == list(plain)
    assert [p.kind for name, p in ours.items() if name not in plain] == [
        inspect.Parameter.VAR_KEYWORD
    ]
    ours, theirs = (
        inspect.signature(cls.forward).parameters
        for cls in (AnnealedAttention, nn.MultiheadAttention)
    )
    assert [(n, p.default) for n, p in ours.items()] == [(n, p.default) for n, p in theirs.items()]


@pytest.mark.parametrize(
    "options",
    [{}, {"bias": False}, {"kdim": 6}, {"kdim": 6, "vdim": 5}, {"add_bias_kv": True}],
    ids=str,
)
def test_states_load_both_ways_and_start_alike(options: dict[str, Any]) -> None:
    layers = []
    for cls in (nn.MultiheadAttention, AnnealedAttention):
        torch.manual_seed(3)
        layers.append(cls(8, 2, **options))
    classical, annealed = layers
    assert list(classical.state_dict()) == list(annealed.state_dict())
    for one, other in zip(classical.parameters(), annealed.parameters(), strict=True):
        assert torch.equal(one, other)
    annealed._reset_parameters()
    classical.load_state_dict(annealed.state_dict())
    annealed.load_state_dict(classical.state_dict())


@given(
    st.integers(0, 1000),
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from(["none", "bool", "float", "bool-3d", "float-3d"]),
    st.sampled_from(["none", "bool", "float"]),
    st.fixed_dictionaries(
        {
            "batch_first": st.booleans(),
            "bias": st.booleans(),
            "add_bias_kv": st.booleans(),
            "add_zero_attn": st.booleans(),
            "kdim": st.sampled_from([None, 5]),
        }
    ),
    st.booleans(),
)
@settings(max_examples=12)
def test_with_all_keys_selected_it_is_multihead_attention(
    seed: int,
    shape: tuple[int, int, int],
    attn: str,
    padding: str,
    options: dict[str, Any],
    average: bool,
) -> None:
    """Values, weights and gradients, straight through and exact; masks never hide all keys."""
    torch.manual_seed(seed)
    batch, queries, keys = shape
    if "float" in (attn.split("-")[0], padding) and "bool" in (attn.split("-")[0], padding):
        padding = "none"
    classical = nn.MultiheadAttention(4, 2, dtype=torch.float64, **options)
    x = torch.randn(batch, queries, 4, dtype=torch.float64)
    k = torch.randn(batch, keys, options["kdim"] or 4, dtype=torch.float64)
    v = torch.randn(batch, keys, 4, dtype=torch.float64)
    if not options["batch_first"]:
        x, k, v = (t.transpose(0, 1) for t in (x, k, v))
    masks = {
        "attn_mask": _mask(attn, (2 * batch if "3d" in attn else 1, queries, keys)),
        "key_padding_mask": _mask(padding, (1, batch, keys)),
    }
    if attn in ("bool", "float"):
        masks["attn_mask"] = masks["attn_mask"][0]
    if padding != "none":
        masks["key_padding_mask"] = masks["key_padding_mask"][0]
    found = []
    for backward in (None, "straight-through", "exact"):
        layer = classical
        if backward is not None:
            layer = AnnealedAttention.from_attention(classical, backward=backward, **ALL)
        classical.zero_grad()
        leaf = x.detach().clone().requires_grad_()
        context, weights = layer(leaf, k, v, average_attn_weights=average, **masks)
        (context * torch.arange(context.numel()).view_as(context)).sum().backward()
        grads = [p.grad.clone() for p in classical.parameters()]
        found.append([context, weights, leaf.grad, *grads])
    for ours in found[1:]:
        for mine, theirs in zip(ours, found[0], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def _mask(kind: str, shape: tuple[int, ...]) -> Any:
    """Return a random mask that leaves the first key, so that no row is blind."""
    if kind == "none":
        return None
    hidden = torch.rand(*shape) < 0.4
    hidden[..., 0] = False
    if "bool" in kind:
        return hidden
    return torch.randn(*shape, dtype=torch.float64).masked_fill(hidden, -torch.inf)


def test_one_sequence_without_a_batch() -> None:
    classical = nn.MultiheadAttention(4, 2)
    layer = AnnealedAttention.from_attention(classical, **ALL)
    x, hidden = torch.randn(5, 4), torch.tensor([False, True, False, False, True])
    for theirs, ours in zip(classical(x, x, x, hidden), layer(x, x, x, hidden), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert layer(x, x, x, need_weights=False)[1] is None


def test_causal_rows_keep_what_they_see() -> None:
    layer = AnnealedAttention(4, 2, batch_first=True, **TWO)
    x, mask = torch.randn(2, 5, 4), nn.Transformer.generate_square_subsequent_mask(5)
    _, weights = layer(x, x, x, attn_mask=mask, is_causal=True, average_attn_weights=False)
    assert (weights.triu(1) == 0).all()
    assert (weights > 0).sum(-1).eq(torch.tensor([1, 2, 2, 2, 2])).all()


# -- the same as compiled ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["minilm_d02_L1_n10", "smollm2-causal_d06_L14_n19"])
@pytest.mark.parametrize("objective", ["hard", "output", "selection"])
def test_hard_selection_is_the_compiled_one(name: str, objective: str) -> None:
    data = fixture(name)
    heads = len(data["scores"])
    values = data["value"][data["kv_head"]]
    compiled = qa.compile(
        data["scores"],
        heads,
        select=qa.ExactlyK(4),
        objective=objective,
        values=values,
        target=None,
    )
    result = compiled.solve("anneal", seed=5)
    how = Annealing(qa.ExactlyK(4), objective=objective, seed=5)
    scores = torch.from_numpy(data["scores"]).double()
    found = annealed_attention(scores, torch.from_numpy(values).double(), how)
    np.testing.assert_array_equal(found.result.selected, result.selected)
    np.testing.assert_array_equal(found.weights.numpy(), result.weights)
    np.testing.assert_allclose(found.context.numpy(), result.context, atol=1e-12)


def test_projections_that_do_nothing_give_the_files_logits() -> None:
    data = fixture("minilm_d02_L1_n10")
    heads, tokens, width = data["query"].shape
    layer = AnnealedAttention(heads * width, heads, dtype=torch.float64, select=qa.ExactlyK(3))
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.eye(heads * width).repeat(3, 1))
        layer.out_proj.weight.copy_(torch.eye(heads * width))
    joined = [
        torch.from_numpy(data[part]).double().transpose(0, 1).reshape(tokens, 1, -1)
        for part in ("query", "key", "value")
    ]
    context, weights = layer(*joined, average_attn_weights=False)
    compiled = qa.compile(
        data["scores"],
        heads,
        select=qa.ExactlyK(3),
        objective="output",
        values=data["value"],
        target=None,
    )
    result = compiled.solve("anneal", seed=0)
    np.testing.assert_array_equal(layer.result.selected, result.selected)
    np.testing.assert_allclose(weights[0].detach().numpy(), result.weights, atol=1e-5)
    ours = context.detach().numpy().reshape(tokens, heads, width).transpose(1, 0, 2)
    np.testing.assert_allclose(ours, result.context, atol=1e-4)


def test_soft_weights_run_straight_through() -> None:
    scores = doubles(2, 3, 6).requires_grad_()
    how = Annealing(qa.SoftWeights(levels=3), objective="sparsemax")
    found = annealed_attention(scores, doubles(2, 6, 2), how)
    assert found.weights.sum(-1).allclose(torch.ones(2, 3, dtype=torch.float64))
    found.context.sum().backward()
    assert scores.grad.abs().sum() > 0


# -- gradients -----------------------------------------------------------------------------------


def test_weights_given_the_selection_pass_gradcheck() -> None:
    scores = doubles(2, 3, 5)
    scores[0, 0, 1:3] = -torch.inf
    scores[1, 2] = -torch.inf
    finite = torch.isfinite(scores)
    selected = (torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(1)) < 0.6) & finite
    leaf = scores.masked_fill(~finite, 0.0).requires_grad_()

    def masked(x: Any) -> Any:
        return x.masked_fill(~finite, -torch.inf)

    assert gradcheck(lambda x: softmax_weights(masked(x)), leaf)
    for decoder in ("renormalise", "residual"):
        assert gradcheck(lambda x, d=decoder: selected_weights(masked(x), selected, d), leaf)


OBJECTIVES = [qa.Hard(), qa.Boltzmann(), qa.Selection(alpha=0.3), qa.Output()]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: o.name)
def test_energy_gradient_given_the_samples_passes_gradcheck(objective: Any) -> None:
    scores, values = doubles(2, 3, 5).requires_grad_(), doubles(2, 5, 3)
    reads = (doubles(4, 2, 3, 5) > 0).double()
    assert gradcheck(lambda x: score_energies(x, reads, objective, values), scores)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: o.name)
def test_energies_are_the_compiled_ones(objective: Any) -> None:
    data = fixture("smollm2-causal_d06_L14_n19")
    values = data["value"][data["kv_head"]].astype(float)
    compiled = qa.compile(
        data["scores"], 9, select=qa.ExactlyK(3), objective=objective, values=values, target=None
    )
    result = compiled.solve("anneal", seed=1, num_reads=4)
    scores = torch.from_numpy(data["scores"]).double()
    selected = torch.from_numpy(result.selected)
    energies = score_energies(scores, selected, objective, torch.from_numpy(values)).sum(-1)
    np.testing.assert_allclose(energies.numpy(), result.energies, atol=1e-9)


def test_linear_energies_have_qamas_gradient() -> None:
    """dE/dh_i = - c_l w_i with the bits held, from the numpy implementation of QAMA."""
    scores, held = doubles(2, 1, 5).requires_grad_(), doubles(2, 1, 5, seed=1).sigmoid()
    score_energies(scores, held, qa.Hard()).sum().backward()
    np.testing.assert_array_equal(scores.grad[:, 0], qama.energy_gradient(held[:, 0].numpy())[1])


def test_straight_through_sends_back_what_softmax_would() -> None:
    values, pull = doubles(2, 6, 3), doubles(2, 4, 3, seed=2)
    grads = []
    for annealed in (True, False):
        scores = doubles(2, 4, 6, seed=3).requires_grad_()
        v = values.clone().requires_grad_()
        if annealed:
            context = annealed_attention(scores, v, Annealing(**TWO)).context
        else:
            context = scores.softmax(-1) @ v
        context.backward(pull)
        grads.append((scores.grad, v.grad))
    torch.testing.assert_close(grads[0][0], grads[1][0])
    weights = annealed_attention(doubles(2, 4, 6, seed=3), values, Annealing(**TWO)).weights
    torch.testing.assert_close(grads[0][1], weights.mT @ pull)


def test_energy_rule_reaches_selected_keys_alone() -> None:
    scores, values, pull = doubles(2, 4, 6).requires_grad_(), doubles(2, 6, 3), doubles(2, 4, 3)
    found = annealed_attention(scores, values, Annealing(backward="energy", **TWO))
    found.context.backward(pull)
    selected = torch.from_numpy(found.result.selected)
    torch.testing.assert_close(scores.grad, (pull @ values.mT) * selected)


@pytest.mark.parametrize("decoder", ["renormalise", "residual"])
def test_exact_layer_passes_gradcheck(decoder: str) -> None:
    """Through compiling and sampling: small steps do not change what is selected."""
    how = Annealing(qa.ExactlyK(2), objective="output", decoder=decoder, backward="exact")

    def attend(scores: Any, values: Any) -> Any:
        return annealed_attention(scores, values, how).context

    assert gradcheck(attend, (doubles(1, 2, 4).requires_grad_(), doubles(1, 4, 2).requires_grad_()))


@pytest.mark.parametrize("objective", [qa.Hard(), qa.Selection(alpha=0.4), qa.Output()], ids=str)
def test_boltzmann_weights_have_the_derivative_of_the_enumerated_mean(objective: Any) -> None:
    """All pairs of four keys, each with its probability; the naive mean is differentiated."""
    values, heat = doubles(1, 4, 3), 0.7
    states = torch.tensor(
        [[float(i in pair) for i in range(4)] for pair in combinations(range(4), 2)],
        dtype=torch.float64,
    )
    reads = states[:, None, None].expand(-1, 1, 2, -1)

    def chances(scores: Any) -> Any:
        energy = torch.zeros(len(states), 1, 2, dtype=torch.float64)
        for r, h, q in product(range(len(states)), range(1), range(2)):
            s, z = scores[h, q], states[r]
            if isinstance(objective, qa.Output):
                p = s.softmax(-1)
                lost = ((1 - z) * p) @ (values[h] - values[h].mean(0))
                energy[r, h, q] = lost @ lost
            else:
                alpha = getattr(objective, "alpha", 0.0)
                pairs = (z * s).sum() ** 2 - (z * s * s).sum()
                energy[r, h, q] = ((alpha - s) * z).sum() + alpha * pairs
        return torch.softmax(-energy / heat, 0)

    def naive(scores: Any) -> Any:
        return torch.einsum("rhq,rk->hqk", chances(scores), states) / 2

    at, pull = doubles(1, 2, 4), doubles(1, 2, 4, seed=4)
    one, other = at.clone().requires_grad_(), at.clone().requires_grad_()
    ours = boltzmann_weights(one, reads, chances(at), objective, temperature=heat, values=values)
    theirs = naive(other)
    torch.testing.assert_close(ours, theirs)
    ours.backward(pull)
    theirs.backward(pull)
    torch.testing.assert_close(one.grad, other.grad)
    assert gradcheck(
        lambda x: boltzmann_weights(
            x,
            reads,
            chances(at),
            objective,
            temperature=heat,
            values=values,
            sampled_at=at,
        ),
        at.clone().requires_grad_(),
    )


@pytest.mark.parametrize("heat", [1.0, 2.0])
def test_one_hot_rows_at_a_temperature_are_softmax(heat: float) -> None:
    how = Annealing(
        qa.OneHot(),
        objective="boltzmann",
        forward="soft",
        backward="exact",
        temperature=heat,
        sampler_options={"num_reads": 4000, "num_sweeps": 64},
    )
    scores, pull = doubles(2, 3, 5).requires_grad_(), doubles(2, 3, 5, seed=7)
    weights = annealed_attention(scores, doubles(2, 5, 1), how).weights
    weights.backward(pull)
    softened = scores.detach().clone().requires_grad_()
    (softened / heat).softmax(-1).backward(pull)
    # 4,000 reads: three standard errors of a share are below 0.024
    assert (weights - (scores / heat).softmax(-1)).abs().max() < 0.03
    assert (scores.grad - softened.grad).abs().max() < 0.05 / heat


def test_soft_rows_without_a_feasible_read_take_the_repaired_one() -> None:
    how = Annealing(
        qa.ExactlyK(3), objective="hard", forward="soft", sampler=_Nothing(), slots=None
    )
    found = annealed_attention(doubles(1, 2, 6), doubles(1, 6, 1), how)
    assert not found.result.feasible.any()
    np.testing.assert_allclose(found.weights.numpy(), found.result.selected / 3)


def test_soft_rows_count_reads_as_often_as_they_occurred() -> None:
    """Three times the first key, once the first two; nothing else has a share."""
    sampler = _Fixed([[1, 0, 0], [1, 1, 0]], [3, 1])
    how = Annealing(qa.Unconstrained(), objective="hard", forward="soft", sampler=sampler)
    found = annealed_attention(doubles(1, 1, 3), doubles(1, 3, 1), how)
    np.testing.assert_allclose(found.weights[0, 0], np.array([1.0, 0.25, 0.0]) / 1.25)


class _Fixed:
    """Reads what it was told to, whatever it is given."""

    def __init__(self, reads: list[list[int]], times: list[int]) -> None:
        self.reads, self.times = np.array(reads), times

    def sample(self, bqm: Any, **options: Any) -> Any:
        return dimod.SampleSet.from_samples_bqm(
            (self.reads, list(bqm.variables)), bqm, num_occurrences=self.times
        )


class _Nothing:
    """Reads zeros, whatever it is given."""

    def sample(self, bqm: Any, **options: Any) -> Any:
        return dimod.SampleSet.from_samples_bqm(
            dict.fromkeys(bqm.variables, min(bqm.vartype.value)), bqm
        )


# -- QAMA ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [2.0, 0.05])
def test_qama_is_the_numpy_one(penalty: float) -> None:
    """Output, weights and energy of the best state by enumeration, sequence by sequence."""
    query, key, value = doubles(3, 2, 2, 3, 4)
    value = value.abs()
    options = {"bits": 2, "penalty": penalty}
    found = qama_attention(query, key, value, sampler=dimod.ExactSolver(), **options)
    states = np.array(list(product((0, 1), repeat=12)))
    for b in range(2):
        arrays = [x[b].numpy() for x in (query, key, value)]
        wanted = qa.qama_decode(states, *arrays, **options)
        np.testing.assert_allclose(found.weights[b], wanted.weights)
        np.testing.assert_allclose(found.output[b], wanted.output, atol=1e-9)
        np.testing.assert_allclose(found.energy[b], wanted.energy)
        coupling = qama.couplings(query[b], key[b], smoothing=1e-3, xp=torch)
        np.testing.assert_allclose(coupling, qama.couplings(*arrays[:2], smoothing=1e-3))


def test_qama_energy_has_the_gradient_of_the_paper() -> None:
    """dE/dJ = - c_q w w and dE/dh = - c_l w from the numpy implementation, carried on to inputs."""
    query, key, value = (x.requires_grad_() for x in doubles(3, 2, 3, 4))
    strength = {"quadratic": 0.7, "linear": 1.3}
    found = qama_attention(query, key, value.exp(), bits=2, **strength)
    by_coupling, by_field = qama.energy_gradient(found.weights.numpy(), **strength)
    ours = torch.autograd.grad(found.energy, (query, key, value))
    carried = (qama.couplings(query, key, xp=torch) * torch.from_numpy(by_coupling)).sum()
    carried = (
        carried
        + (qama.token_field(qama.eta(value.exp(), xp=torch)) * torch.from_numpy(by_field)).sum()
    )
    for mine, theirs in zip(ours, torch.autograd.grad(carried, (query, key, value)), strict=True):
        torch.testing.assert_close(mine, theirs)
        assert mine.abs().sum() > 0


def test_qama_output_passes_gradcheck() -> None:
    """Through sampling: small steps do not change the best state."""
    query, key, value = (x.requires_grad_() for x in doubles(3, 1, 3, 2))

    def attend(q: Any, k: Any, v: Any) -> Any:
        return qama_attention(q, k, v.exp(), bits=1, sampler=dimod.ExactSolver()).output

    assert gradcheck(attend, (query, key, value))


def test_qama_shapes_that_do_not_fit() -> None:
    x = torch.rand(2, 3, 4)
    with pytest.raises(qa.InputError, match=r"shapes \(3, 4\), \(3, 4\), \(3, 4\); expected"):
        qama_attention(x[0], x[0], x[0])
    with pytest.raises(qa.InputError, match="those of query and key the same"):
        qama_attention(x, x[:, :2], x)
    one = qama_attention(x[:, :1], x[:, :1], x[:, :1])
    assert (one.output == 0).all()


# -- in a transformer ----------------------------------------------------------------------------


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
def test_it_drops_into_an_encoder_layer(batch_first: bool, norm_first: bool) -> None:
    """In eval mode and without gradients the layer has a shortcut past its self_attn."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.1, batch_first=batch_first, norm_first=norm_first
    )
    classical = copy.deepcopy(layer).eval()
    layer.self_attn = AnnealedAttention(8, 2, 0.1, batch_first=batch_first, **TWO)
    layer.load_state_dict(classical.state_dict())
    x = torch.randn(3, 5, 8) if batch_first else torch.randn(5, 3, 8)
    layer.train()
    (layer(x) * torch.arange(8.0)).sin().sum().backward()
    assert layer.self_attn.in_proj_weight.grad.abs().sum() > 0
    layer.eval()
    for guard in (torch.no_grad, torch.inference_mode):
        layer.self_attn.result = None
        with guard():
            found = layer(x)
        assert layer.self_attn.result is not None
        assert layer.self_attn.result.selected.shape == (6, 5, 5)
        assert not torch.allclose(found, classical(x), atol=1e-3)
    with torch.no_grad():
        # By hand, with the layer's own parts.
        y = layer.norm1(x) if norm_first else x
        y = x + layer.self_attn(y, y, y)[0]
        y = y if norm_first else layer.norm1(y)
        z = layer.norm2(y) if norm_first else y
        y = y + layer.linear2(functional.relu(layer.linear1(z)))
        torch.testing.assert_close(found, y if norm_first else layer.norm2(y))


def test_every_attention_of_a_model_is_replaced() -> None:
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    assert replace_attention(model, **TWO) == [
        "encoder.layers.0.self_attn",
        "decoder.layers.0.self_attn",
        "decoder.layers.0.multihead_attn",
    ]
    before = model.encoder.layers[0].self_attn.in_proj_weight.clone()
    source, wanted = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    (model(source, wanted) * torch.arange(8.0)).sin().sum().backward()
    optimiser.step()
    assert not torch.equal(before, model.encoder.layers[0].self_attn.in_proj_weight)
    with pytest.raises(qa.InputError, match="the model holds no torch"):
        replace_attention(model, **TWO)


def test_an_encoder_made_before_gets_no_nested_tensors() -> None:
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2
    ).eval()
    replace_attention(encoder, **TWO)
    x, padding = torch.randn(2, 5, 8), torch.zeros(2, 5, dtype=torch.bool)
    padding[1, 3:] = True
    with torch.no_grad():
        found = encoder(x, src_key_padding_mask=padding)
    assert found.shape == x.shape
    for layer in encoder.layers:
        assert not layer.self_attn.result.selected[2:, :, 3:].any()


def test_layers_stacked_from_one_share_its_sampler_and_structures() -> None:
    sampler = SteepestDescentSampler()
    one = AnnealedAttention(8, 2, sampler=sampler, select=qa.ExactlyK(2), target="zephyr:2")
    x = torch.randn(5, 1, 8)
    one(x, x, x)
    other = copy.deepcopy(one)
    assert other.annealing.sampler is sampler
    assert other.annealing is not one.annealing
    assert other.annealing.structures is one.annealing.structures
    assert len(one.annealing.structures) == 1
    with torch.no_grad():
        assert torch.equal(one(x, x, x)[0], other(x, x, x)[0])


def test_a_layer_is_saved_whole() -> None:
    layer = AnnealedAttention(8, 2, **TWO)
    x = torch.randn(5, 1, 8)
    before = layer(x, x, x)[0]
    again = pickle.loads(pickle.dumps(layer))
    assert again.result is None
    assert torch.equal(before, again(x, x, x)[0])


# -- how it runs ---------------------------------------------------------------------------------


def test_batches_of_one_structure_are_embedded_once(cache: qa.EmbeddingCache) -> None:
    how = Annealing(qa.ExactlyK(2), objective="output", target="zephyr:2", cache=cache)
    placements = []
    for seed in range(3):
        annealed_attention(doubles(2, 3, 6, seed=seed), doubles(2, 6, 2, seed=seed), how)
        (placement,) = how.structures.placements.values()
        placements.append(placement)
    assert all(placement is placements[0] for placement in placements)
    annealed_attention(doubles(1, 3, 6), doubles(1, 6, 2), how)
    assert len(how.structures) == 2


def test_tokens_that_are_added_are_no_new_structure(cache: qa.EmbeddingCache) -> None:
    how = Annealing(qa.ExactlyK(2), target="zephyr:2", cache=cache, slots=4)
    for keys in range(5, 12):
        scores, values = doubles(2, 1, keys, seed=keys), doubles(2, keys, 2, seed=keys)
        found = annealed_attention(scores, values, how)
        plain = qa.compile(
            scores.numpy(),
            2,
            select=qa.ExactlyK(2),
            objective="output",
            values=values.numpy(),
            target="zephyr:2",
            cache=cache,
            slots=4,
        )
        wanted = plain.solve(sampler=None, seed=0)
        assert np.array_equal(found.result.weights, wanted.weights)
    # Two queries of one head are as many rows as one query of two heads.
    annealed_attention(doubles(1, 2, 5), doubles(1, 5, 2), how)
    assert len(how.structures) == 1


def test_same_seed_same_output() -> None:
    """Few reads and sweeps, so that seeds differ."""
    scores, values = doubles(4, 6, 12), doubles(4, 12, 3)
    rough = {"select": qa.ExactlyK(4), "sampler_options": {"num_reads": 1, "num_sweeps": 1}}

    def contexts(seed: int | None, calls: int = 2) -> list[Any]:
        how = Annealing(seed=seed, **rough)
        return [annealed_attention(scores, values, how).context for _ in range(calls)]

    one, again, other = contexts(1), contexts(1), contexts(2)
    assert torch.equal(one[0], one[1])
    assert torch.equal(one[0], again[0])
    assert not torch.equal(one[0], other[0])
    torch.manual_seed(5)
    drawn = contexts(None)
    torch.manual_seed(5)
    redrawn = contexts(None)
    assert not torch.equal(drawn[0], drawn[1])
    assert all(torch.equal(a, b) for a, b in zip(drawn, redrawn, strict=True))


@pytest.mark.parametrize("backward", ["straight-through", "exact", "energy"])
@pytest.mark.parametrize("forward", ["hard", "soft"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_every_floating_type(forward: str, backward: str, dtype: Any) -> None:
    layer = AnnealedAttention(
        4, 2, batch_first=True, dtype=dtype, forward=forward, backward=backward, **TWO
    )
    x = doubles(2, 5, 4).to(dtype).requires_grad_()
    context, weights = layer(x, x, x)
    assert context.dtype == weights.dtype == dtype
    context.sum().backward()
    assert x.grad.dtype == dtype
    assert x.grad.isfinite().all()
    assert layer.in_proj_weight.grad[:4].abs().sum() > 0


def test_no_gradient_is_kept_without_one() -> None:
    layer = AnnealedAttention(4, 2, forward="soft", **TWO)
    x = torch.randn(5, 2, 4)
    with torch.no_grad():
        context, weights = layer(x, x, x)
    assert context.grad_fn is None
    assert not weights.requires_grad


def test_dropout_is_of_weights_and_of_training() -> None:
    layer = AnnealedAttention(4, 2, dropout=0.9, **TWO)
    x = torch.randn(5, 8, 4)
    torch.manual_seed(0)
    assert (layer(x, x, x, average_attn_weights=False)[1] > 0).sum() < 80
    layer.eval()
    weights = layer(x, x, x, average_attn_weights=False)[1]
    assert (weights > 0).sum() == 160
    torch.testing.assert_close(weights.sum(-1), torch.ones(8, 2, 5))


@pytest.mark.parametrize("forward", ["hard", "soft"])
@pytest.mark.parametrize("backward", ["straight-through", "exact", "energy"])
@pytest.mark.parametrize(("objective", "floats"), [("hard", True), ("output", False)])
def test_rows_that_see_nothing_weigh_nothing(
    forward: str, backward: str, objective: str, floats: bool
) -> None:
    """A gradient that is not a number would pass through masks that are added."""
    layer = AnnealedAttention(
        4,
        2,
        batch_first=True,
        select=qa.ExactlyK(2),
        objective=objective,
        forward=forward,
        backward=backward,
    )
    x = doubles(3, 5, 4).float().requires_grad_()
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[1] = True
    padding[2, 4:] = True
    mask = torch.zeros(3, 5).masked_fill(padding, -torch.inf) if floats else padding
    context, weights = layer(x, x, x, key_padding_mask=mask)
    assert (weights[1] == 0).all()
    assert layer.result.empty[2:4].all()
    context.sum().backward()
    assert x.grad.isfinite().all()
    assert layer.in_proj_weight.grad.isfinite().all()
    torch.testing.assert_close(context[1], layer.out_proj.bias.expand(5, 4))
    _, weights = layer(x, x, x, key_padding_mask=torch.ones_like(padding))
    assert (weights == 0).all()


def test_weights_of_blind_rows_are_zero() -> None:
    scores = torch.full((1, 2, 3), -torch.inf)
    scores[0, 0] = 0.0
    leaf = scores.clone().requires_grad_()
    softmax_weights(leaf).sum().backward()
    assert (leaf.grad == 0).all()
    wanted = torch.tensor([[[1 / 3] * 3, [0.0] * 3]])
    chosen = scores > -torch.inf
    torch.testing.assert_close(softmax_weights(scores), wanted)
    for decoder in ("renormalise", "residual"):
        torch.testing.assert_close(selected_weights(scores, chosen, decoder), wanted)
    energies = score_energies(scores, chosen, qa.Output(), torch.ones(1, 3, 2))
    assert (energies == 0).all()


def test_masks_of_the_lowest_number_are_masks() -> None:
    """One key is left where two were to be selected; the others are not made up with."""
    scores, hidden = doubles(1, 3, 5).float(), torch.arange(5) > 0
    lowest = hidden * torch.finfo(torch.float32).min
    found = annealed_attention(scores + lowest, torch.eye(5)[None], Annealing(**TWO))
    assert (found.result.selected == ~hidden.numpy()).all()
    assert found.result.capped.all()
    assert (found.weights == (~hidden).float()).all()


@pytest.mark.parametrize("shape", [(0, 2, 3, 5), (2, 2, 0, 5), (2, 2, 3, 0)])
def test_nothing_in_nothing_out(shape: tuple[int, ...]) -> None:
    found = annealed_attention(torch.zeros(shape), torch.zeros(*shape[:2], shape[3], 4))
    assert found.context.shape == (*shape[:3], 4)
    assert found.result is None


def test_keys_reach_the_objective() -> None:
    layer = AnnealedAttention(
        4, 2, select=qa.ExactlyK(2), objective="redundancy", backward="energy"
    )
    x = torch.randn(5, 2, 4)
    layer(x, x, x)[0].sum().backward()
    assert layer.in_proj_weight.grad.abs().sum() > 0


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forward": "soggy"}, "unknown forward 'soggy'; one of hard, soft"),
        (
            {"backward": "reinforce"},
            "unknown backward 'reinforce'; one of straight-through, exact, energy",
        ),
        ({"select": qa.ExactlyK}, "select must say how many keys a row keeps"),
        ({"temperature": 0.0}, "temperature must be a finite number above 0, not 0.0"),
        ({"decoder": "argmax"}, "unknown decoder 'argmax'"),
        ({"objective": "hrad"}, "unknown objective 'hrad'"),
        ({"forward": "soft", "decoder": "residual"}, "forward='soft' decodes by marginals"),
        ({"objective": "boltzmann", "backward": "exact"}, "decoder 'marginals' has no gradient"),
        (
            {"select": qa.SoftWeights(), "objective": "sparsemax", "backward": "energy"},
            "soft weights .* take forward='hard' and backward='straight-through'",
        ),
        (
            {
                "objective": type(
                    "Own",
                    (),
                    {"name": "own", "soft": False, "decoder": "renormalise", "coefficients": None},
                )(),
                "backward": "energy",
            },
            "energies as functions of scores .* not 'own'; use backward='straight-through'",
        ),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        AnnealedAttention(4, 2, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": torch.zeros(2, 3, 5)}, r"shapes \(2, 3, 5\), .*; expected \(N, tokens, width\)"),
        ({"query": torch.zeros(3, 3, 4)}, r"query, key and value have shapes \(3, 3, 4\)"),
        ({"value": torch.zeros(2, 4, 4)}, "key and value with the same tokens"),
        ({"attn_mask": torch.zeros(3, 4)}, r"attn_mask has shape \(3, 4\); expected \(3, 3\) or"),
        ({"attn_mask": torch.zeros(2, 3, 3)}, r"expected \(3, 3\) or \(4, 3, 3\)"),
        ({"attn_mask": torch.zeros(3, 3).int()}, "attn_mask has type torch.int32; expected bool"),
        ({"key_padding_mask": torch.zeros(3)}, r"key_padding_mask has shape \(3,\); expected"),
        ({"is_causal": True}, "is_causal says that attn_mask is causal, and there is none"),
        (
            {"query": torch.full((2, 3, 4), torch.nan)},
            "scores hold nan at batch 0, head 0, query 0",
        ),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    layer = AnnealedAttention(4, 2, batch_first=True, **TWO)
    x = torch.zeros(2, 3, 4)
    with pytest.raises(qa.InputError, match=message):
        layer(**({"query": x, "key": x, "value": x} | change))


def test_nested_tensors_are_named() -> None:
    nested = torch.nested.nested_tensor([torch.zeros(2, 4), torch.zeros(3, 4)], layout=torch.jagged)
    with pytest.raises(qa.InputError, match="enable_nested_tensor=False"):
        AnnealedAttention(4, 2, **TWO)(nested, nested, nested)


def test_scores_and_values_that_do_not_fit() -> None:
    with pytest.raises(qa.InputError, match=r"values have shape \(2, 3, 1\); expected \(2, 4\)"):
        annealed_attention(torch.zeros(2, 3, 4), torch.zeros(2, 3, 1))
    with pytest.raises(qa.InputError, match="expected floating numbers"):
        annealed_attention(torch.zeros(2, 3, 4, dtype=torch.int), torch.zeros(2, 4, 1))
    scores = torch.zeros(2, 3, 4)
    scores[1, 2, 3] = torch.inf
    with pytest.raises(qa.InputError, match=r"inf at head 1, query 2, key 3 \(1 such"):
        annealed_attention(scores, torch.zeros(2, 4, 1))
    with pytest.raises(qa.InputError, match="redundancy"):
        annealed_attention(
            torch.zeros(2, 3, 4), torch.zeros(2, 4, 1), Annealing(objective="redundancy")
        )


# -- attention of other models -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_probabilities_of_a_model_compile(dtype: Any) -> None:
    """As transformers return them: a tuple over layers, with gradients, in any type."""
    attention = nn.MultiheadAttention(8, 2, batch_first=True, dtype=dtype)
    x, mask = doubles(3, 6, 8).to(dtype), torch.ones(6, 6, dtype=torch.bool).triu(1)
    _, weights = attention(x, x, x, attn_mask=mask, average_attn_weights=False)
    assert weights.requires_grad
    scores = qa.from_attentions((weights, weights), layer=1, batch=2)
    assert scores.shape == (2, 6, 6)
    assert np.array_equal(scores == -np.inf, np.broadcast_to(mask.numpy(), scores.shape))
    np.testing.assert_allclose(np.exp(scores), weights[2].detach().double().numpy(), rtol=1e-12)
    compiled = qa.compile(scores, 2, select=qa.ExactlyK(2), target=None)
    assert compiled.solve("anneal", seed=1).feasible.all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_of_any_type_compile(dtype: Any) -> None:
    scores = doubles(2, 3, 4).to(dtype).requires_grad_()
    compiled = qa.compile(scores, 2, select=qa.OneHot(), target=None)
    np.testing.assert_array_equal(compiled.attention.logits, scores.detach().double().numpy())


# -- the example ---------------------------------------------------------------------------------


def test_the_example_trains(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["train_tiny.py", "--steps", "20"])
    runpy.run_path(str(ROOT / "examples" / "train_tiny.py"), run_name="__main__")
    rows = {
        line[:30].strip(): [float(x) for x in line[30:].split()]
        for line in capsys.readouterr().out.splitlines()[1:-1]
    }
    assert list(rows) == [
        "softmax",
        "annealed, straight through",
        "annealed, energy rule",
        "annealed, Boltzmann marginals",
        "uniform (control)",
    ]
    assert len({size for size, *_ in rows.values()}) == 1
    for name, (_, first, last, *_) in rows.items():
        if name != "uniform (control)":
            assert last < first - 0.1, name
    control = rows["uniform (control)"][2]
    for name in ("softmax", "annealed, straight through", "annealed, Boltzmann marginals"):
        assert rows[name][2] < control - 0.1, name
