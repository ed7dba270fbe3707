"""Random programs small enough to enumerate."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from qubo_attn.ir.columns import Constraints, Kind, Role, Sense, Variables
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.kernels.forms import collect_couplers

NUMBERS = st.one_of(
    st.integers(-4, 4).map(float),
    st.floats(-5, 5, allow_nan=False).map(lambda x: round(x, 3) + 0.0),
)


@st.composite
def programs(
    draw: st.DrawFn,
    *,
    heads: int = 2,
    most_keys: int = 4,
    weights: bool = False,
    same_keys: bool = False,
) -> Program:
    """Rows of one query and a few heads that keep exactly k keys, couplers anywhere.

    Args:
        heads: most heads.
        most_keys: most keys a row sees.
        weights: add some integer variables outside every row.
        same_keys: give every row the same keys and count, so that heads can be tied.
    """
    count = draw(st.integers(1, heads))
    size, keep = draw(st.integers(1, most_keys)), draw(st.integers(0, most_keys))
    sizes = [size if same_keys else draw(st.integers(1, most_keys)) for _ in range(count)]
    keeps = [keep if same_keys else draw(st.integers(0, most_keys)) for _ in range(count)]
    extra = draw(st.lists(st.integers(1, 5), max_size=2)) if weights else []
    head = np.repeat(np.arange(count), sizes)
    key = np.concatenate([np.arange(s) for s in sizes])
    n = len(head) + len(extra)
    role = np.r_[np.full(len(head), Role.SELECT), np.full(len(extra), Role.WEIGHT)]
    variables = Variables(
        head=np.r_[head, np.zeros(len(extra))],
        query=np.zeros(n),
        key=np.r_[key, np.arange(len(extra))],
        bit=np.full(n, -1),
        upper=np.r_[np.ones(len(head)), extra],
        role=role,
        mass=np.full(n, np.nan),
    )
    linear = np.array(draw(st.lists(NUMBERS, min_size=n, max_size=n)))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=2 * n))
    pairs = [(u, v) for u, v in pairs if u != v or variables.upper[u] > 1]
    bias = draw(st.lists(NUMBERS, min_size=len(pairs), max_size=len(pairs)))
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    objective = Quadratic(
        draw(NUMBERS), linear, *collect_couplers(n, ends[:, 0], ends[:, 1], np.array(bias))
    )
    return Program(
        variables, objective, _rows(sizes, [min(k, s) for k, s in zip(keeps, sizes, strict=True)])
    )


def _rows(sizes: list[int], keeps: list[int]) -> Constraints:
    rows = len(sizes)
    return Constraints.over(
        np.cumsum([0, *sizes]),
        np.arange(sum(sizes)),
        sense=Sense.EQ,
        rhs=np.array(keeps),
        kind=Kind.PICK,
        head=np.arange(rows),
        query=0,
    )
