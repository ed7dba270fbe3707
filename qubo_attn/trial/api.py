"""``try_out``: what the compiler does for some attention, beside top-k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

from numpy.typing import ArrayLike

from qubo_attn.common.checks import several, whole
from qubo_attn.common.words import plural
from qubo_attn.compilation.lower import lower
from qubo_attn.compilation.options import Options
from qubo_attn.compiled import CompiledAttention
from qubo_attn.compiler import prepare
from qubo_attn.errors import InputError
from qubo_attn.frontend.heads import Head
from qubo_attn.frontend.select import ExactlyK
from qubo_attn.machine.reads import MOST_READS
from qubo_attn.trial.attempt import Attempt
from qubo_attn.trial.trial import Trial

KEYS = (2, 4, 8)
READS = 1000


def try_out(
    scores: ArrayLike,
    heads: int | Sequence[Head] | None = None,
    *,
    k: int | Sequence[int] = KEYS,
    reads: int = READS,
    step: Callable[[str], None] | None = None,
    **options: Unpack[Options],
) -> Trial:
    """Compile and solve attention for several numbers of keys, and compare with top-k.

    Rows are solved here, by the local solver. The machine's time and chances are predictions.

    Args:
        scores, heads: as `qubo_attn.compile` takes them.
        k: keys that each row keeps: one number or several. Numbers that leave no row a choice are
            skipped.
        reads: of each programming, for the machine time.
        step: called with a few words before each piece of work, to show progress.
        **options: of `qubo_attn.compile`, but for ``select``. With ``values`` the objective is the
            error of the output; without, selections tend to equal top-k, and the verdict says so.

    Returns:
        The trial; printing it gives a table and a verdict.

    Raises:
        InputError: an argument does not fit, or no number leaves any row a choice.
        TargetError, EmbeddingError, PassError: see `qubo_attn.compile`.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> q, k, v = np.random.default_rng(0).normal(size=(3, 2, 6, 4))
        >>> trial = qa.try_out(q @ k.transpose(0, 2, 1), k=(2, 3), values=v, target=None)
        >>> [attempt.k for attempt in trial.attempts], trial.best.ours < trial.best.top_k
        ([2, 3], True)
    """
    if "select" in options:
        raise InputError("try_out chooses select itself; give k=", argument="select")
    numbers = dict.fromkeys(
        whole("k", number, 1) for number in (several("k", k) if isinstance(k, Sequence) else (k,))
    )
    if not numbers:
        raise InputError("k names no number of keys", argument="k")
    reads = whole("reads", reads, 1, MOST_READS)
    tell = step or (lambda words: None)
    attempts, skipped, most = [], [], 0
    for number in numbers:
        chosen: Options = {**options, "select": ExactlyK(number)}
        attention, recipe = prepare(scores, heads, **chosen)
        most = int(attention.counts.max(initial=0))
        if most <= number:
            skipped.append(number)
            continue
        tell(f"compiling for {plural(number, 'key')}")
        compiled = CompiledAttention.of(lower(recipe, attention))
        tell(f"solving with {plural(number, 'key')}")
        attempts.append(Attempt.of(number, compiled, compiled.solve(), reads))
    if not attempts:
        sees = plural(most, "key")
        raise InputError(
            f"no row has a choice to make: a row sees at most {sees}; give a smaller k"
            if most
            else "no row has a choice to make: no query sees a key",
            argument="k",
        )
    return Trial(tuple(attempts), tuple(skipped), reads)
