"""Keys beyond the block are the scorer's, whatever the scores."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa

pytest.importorskip("kvpress", reason="kvpress asks for transformers below 5.3")

from qubo_attn.kvpress.candidates import Candidates


@given(st.data())
def test_every_count_and_block_leaves_a_choice_of_that_count(data: st.DataObject) -> None:
    heads, keys = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 12))
    number = st.sampled_from([0.0, 0.5, 1.0, -np.inf])
    scores = np.array(
        data.draw(st.lists(number, min_size=heads * keys, max_size=heads * keys))
    ).reshape(heads, keys)
    hidden = data.draw(st.integers(0, keys - 1))
    seen = np.ones((heads, keys), bool)
    seen[0, :hidden] = False  # as left padding hides keys
    count, block = data.draw(st.integers(1, keys)), data.draw(st.integers(1, 14))
    sink, latest = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    given_options = {"sink": sink, "latest": latest, "block": block}
    if any(min(sink + latest, row.sum()) > count for row in seen):
        with pytest.raises(qa.InputError, match="must stay"):
            Candidates.of(scores, seen, count, **given_options)
        return
    must, never, usual = Candidates.of(scores, seen, count, **given_options)
    assert (usual.sum(axis=1) == count).all()
    assert not (must & never).any()
    assert not (must & ~seen).any()
    assert (never >= ~seen).all()
    open_ = ~must & ~never
    room = np.minimum(count, seen.sum(axis=1))
    assert (must.sum(axis=1) <= room).all()
    assert (must.sum(axis=1) + open_.sum(axis=1) >= room).all()
    assert (open_.sum(axis=1) <= block).all()
    for head in range(heads):
        shown = np.flatnonzero(seen[head])
        assert must[head, shown[:sink]].all()
        assert must[head, shown[len(shown) - latest :]].all()
        # What is left open is no worse than what goes, and no better than what stays.
        free = np.setdiff1d(shown, np.r_[shown[:sink], shown[len(shown) - latest :]])
        kinds = [scores[head, free[part[head, free]]] for part in (must, open_, never)]
        for better, worse in pairwise(kinds):
            if len(better) and len(worse):
                assert better.min() >= worse.max()
