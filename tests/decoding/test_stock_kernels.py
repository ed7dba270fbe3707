"""Selections in torch's own kernels: they give what the decoder ``renormalise`` gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402
from torch.nn.attention.flex_attention import flex_attention  # noqa: E402

import qubo_attn as qa  # noqa: E402

HEADS, TOKENS, WIDTH = 4, 20, 16


def attention(heads: int = HEADS, *, causal: bool = True, seed: int = 0) -> dict[str, Any]:
    """Return query, key and value vectors, and logits of theirs."""
    rng = np.random.default_rng(seed)
    query, key, value = rng.normal(size=(3, heads, TOKENS, WIDTH))
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(WIDTH)
    if causal:
        scores[:, np.triu(np.ones((TOKENS, TOKENS), bool), 1)] = -np.inf
    vectors = (torch.from_numpy(x)[None] for x in (query, key, value))
    return {"scores": scores, "values": value, "vectors": tuple(vectors)}


def solved(given: dict[str, Any], **options: Any) -> Any:
    compiled = qa.compile(
        given["scores"],
        len(given["scores"]),
        objective="renormalised",
        values=given["values"],
        target=None,
        **options,
    )
    return compiled.solve(seed=1)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_sdpa_gives_the_output_of_the_renormalised_decoder(causal: bool, batch: int) -> None:
    given = attention(causal=causal)
    result = solved(given, select=qa.ExactlyK(3))
    mask = result.sdpa_mask(batch)
    assert mask.shape == (batch, HEADS // batch, TOKENS, TOKENS)
    query, key, value = (x.reshape(batch, -1, TOKENS, WIDTH) for x in given["vectors"])
    found = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    expected = result.context.reshape(found.shape)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("batch", [1, 2])
def test_flex_attention_gives_the_output_of_the_renormalised_decoder(batch: int) -> None:
    given = attention()
    result = solved(given, select=qa.ExactlyK(3))
    mask = result.block_mask(batch)
    query, key, value = (x.reshape(batch, -1, TOKENS, WIDTH) for x in given["vectors"])
    found = flex_attention(query, key, value, block_mask=mask)
    expected = result.context.reshape(found.shape)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)
    dense = result.block_mask(batch, block_size=16).to_dense()
    assert dense.shape == (batch, HEADS // batch, 2, 2)
    assert not dense[:, :, 0, 1].any()  # later keys alone: nothing to compute


def test_a_cache_cut_to_the_kept_keys_gives_the_output_of_the_renormalised_decoder() -> None:
    given = attention(causal=False)
    tie = qa.TieVariables.from_kv_head([0, 0, 1, 1], queries=True)
    result = solved(given, select=qa.Budget(5), tie=tie)
    index = result.keep_indices([0, 0, 1, 1])
    assert index.shape == (1, 2, 5)
    query, key, value = given["vectors"]
    # A cache holds one set of vectors for each key/value head: here that of its first query head.
    wide = index.repeat_interleave(2, 1)[..., None].expand(-1, -1, -1, WIDTH)
    kept = [x.gather(2, wide) for x in (key, value)]
    found = functional.scaled_dot_product_attention(query, *kept)
    np.testing.assert_allclose(found[0].numpy(), result.context, rtol=0, atol=1e-6)
    alone = result.keep_indices(batch=2)
    assert alone.shape == (2, 2, 5)
    assert torch.equal(alone[:, 0], index[0])


def test_heads_that_keep_different_numbers_of_keys_are_named() -> None:
    given = attention()
    result = solved(given, select=qa.ExactlyK(1))
    with pytest.raises(qa.InputError, match=r"head 0 keeps \d+ keys and head \d of sequence 0"):
        result.keep_indices()
    with pytest.raises(qa.InputError, match="are not those of 3 sequences"):
        result.sdpa_mask(3)
    with pytest.raises(qa.InputError, match="kv_head must hold one whole number"):
        result.keep_indices([0, 1])
