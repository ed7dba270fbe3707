from __future__ import annotations

from pathlib import Path

import numpy as np

import qubo_attn as qa
from tests.support.tampering import counted, outcomes


def saved(folder: Path) -> None:
    """Save an artifact of each kind."""
    generator = np.random.default_rng(3)
    scores, values = generator.normal(size=(2, 3, 6)), generator.normal(size=(2, 6, 3))
    options = {"select": qa.ExactlyK(2), "values": values, "target": None}
    penalties = "insert-penalties{cardinality=%s}"
    kinds = {
        "dense": {"objective": "output", "passes": penalties % "dense"},
        "grid": {"objective": "hard", "passes": penalties % "grid"},
        "leveled": {"objective": "output", "select": qa.SoftWeights(3, k=2)},
        "tied": {
            "objective": "output",
            "passes": "tie-variables{groups=((0,1),)},insert-penalties",
        },
        "placed": {"objective": "output", "target": "zephyr:2", "replicas": "fill"},
        "causal": {
            "objective": "hard",
            "select": qa.OneHot(),
            "mask": np.tri(3, 6, 1) > 0,
            "passes": penalties % "dense",
        },
    }
    for name, more in kinds.items():
        qa.compile(scores, 2, **options | more).save(folder / name)


def test_no_changed_array_harms(tmp_path: Path, cache: qa.EmbeddingCache) -> None:
    """No process dies or hangs, nothing but typed errors; what is damaged is refused.

    Whoever works out the checksums anew has made another artifact: where it hangs together, it may
    have another answer, and its entries are values, not indices.
    """
    saved(tmp_path / "artifacts")
    found = outcomes(tmp_path / "artifacts")
    for text, count in sorted(counted(found).items()):
        print(f"{count:6} {text}")
    fine = {"refused", "unchanged", "same", "other"}
    assert {str(case): text for case, text in found.items() if text not in fine} == {}
    stale = {case: text for case, text in found.items() if not case.checksums}
    assert {text for case, text in stale.items() if case.array != "facts"} == {
        "refused",
        "unchanged",
    }
    assert "other" not in stale.values()
    assert len(found) > 5000
