from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qubo_attn.pictures.diffs import diff_html
from tests.support.markup import Reader


@given(
    st.lists(st.sampled_from("abc<&"), max_size=6), st.lists(st.sampled_from("abd<"), max_size=6)
)
def test_a_diff_holds_both_texts(old: list[str], new: list[str]) -> None:
    shown = diff_html("\n".join(old), "\n".join(new))
    if old == new:
        assert shown == ""
        return
    lines = [line for line in Reader(shown).text.split("\n") if line]
    known = [line for line in lines if not line.startswith("…")]
    left = len(lines) == len(known)
    if left:
        assert [line[2:] for line in known if line[0] in " -"] == old
        assert [line[2:] for line in known if line[0] in " +"] == new
    else:
        assert [line[2:] for line in known if line[0] == "-"] == [
            line for line in old if f"- {line}" in known
        ]


def test_long_diffs_are_counted() -> None:
    old = "\n".join(f"x[0,0,{i}] * x[0,0,{i + 1}] : 1" for i in range(500))
    text = Reader(diff_html(old, "offset 0")).text
    assert "… 488 lines removed" in text
    assert text.count("\n") < 20
    some = "\n".join(line for place, line in enumerate(old.split("\n")) if place % 3)
    text = Reader(diff_html(old, some)).text
    assert text.count("…") == 1
    assert "… 163 lines removed, 325 lines unchanged" in text
