"""Short digests of what compiling and solving yields, to tell whether a change moved a single bit.

For every file, objective, selection and target, with heads apart and, where some share a key/value
head, tied: one line, with the first 16 hex digits of a SHA-256 each of

* ``wires``: every submission as a solver's client sends it;
* ``certificates``: all columns of the proofs of the penalty weights;
* ``selections``: what a short local annealing finds: selected keys, weights, output, and which rows
  were feasible or repaired;
* ``program``: the objective after the last pass: offset, linear, i, j, bias;

and the bound on the loss as it is. Where the compiler refuses a pair, the line holds the error.
Embeddings are searched for anew in a folder of their own, so the search is covered as well. Digests
are those of one machine, one set of packages and one number of BLAS threads (cores, or
``OPENBLAS_NUM_THREADS``): elsewhere libraries may round otherwise.

Keep what one commit printed, and compare another with it (exit code 1 where anything differs):

    python benchmarks/digests.py --data DIR --targets zephyr:12,pegasus:16 --json > before.json
    python benchmarks/digests.py --data DIR --targets zephyr:12,pegasus:16 --compare before.json
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, parser

import qubo_attn as qa

OBJECTIVES = ("selection", "output", "hard", "redundancy")
SELECTS: dict[str, Any] = {
    "exactly-4": qa.ExactlyK(4),
    "one-hot": qa.OneHot(),
    "soft-3-of-4": qa.SoftWeights(3, k=4),
}
PROOFS = ("index", "weight", "slope", "margin", "method", "upper", "lower", "witness", "steps")
SELECTIONS = ("selected", "weights", "context", "feasible", "repaired")
PROGRAM = ("offset", "linear", "i", "j", "bias")
WIRE = ("format", "lin", "quad", "offset")
# Few of both, so that some rows fail and repair is covered.
READS, SWEEPS = 2, 8


def digest(columns: list[tuple[str, Any]]) -> str:
    """Return a short hash of named arrays, numbers and texts: names, types, shapes and bytes."""
    found = hashlib.sha256()
    for name, column in columns:
        if isinstance(column, str):
            kind, data = f"text:{len(column)}", column.encode()
        elif column is None:
            kind, data = "none", b""
        else:
            array = np.asarray(column)
            if array.dtype.hasobject:
                raise TypeError(f"{name} holds objects, whose bytes say nothing")
            kind, data = f"{array.dtype.str}:{array.shape}", array.tobytes()
        found.update(f"{name}:{kind};".encode())
        found.update(data)
    return found.hexdigest()[:16]


def columns_of(group: Any, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    return [(name, getattr(group, name)) for name in names]


def measure(
    arrays: dict[str, np.ndarray],
    objective: str,
    select: Any,
    tied: bool,
    target: str,
    cache: str,
    seed: int,
) -> dict[str, Any]:
    """Return the digests of one setting, or the error of one that the compiler refuses."""
    scores = arrays["scores"]
    try:
        compiled = qa.compile(
            scores,
            len(scores),
            select=select,
            objective=objective,
            values=arrays["value"] if objective == "output" else None,
            keys=arrays["key"] if objective == "redundancy" else None,
            tie=qa.TieVariables.from_kv_head(arrays["kv_head"]) if tied else None,
            target=target,
            cache=cache,
            seed=seed,
        )
    except qa.QuboAttnError as error:
        return {"error": f"{type(error).__name__}: {error}"}
    wires = [(name, wire[name]) for wire in map(dict, compiled.wires()) for name in WIRE]
    result = compiled.solve("anneal", seed=seed, num_reads=READS, num_sweeps=SWEEPS)
    return {
        "wires": digest(wires),
        "certificates": digest(columns_of(compiled.certificates, PROOFS)),
        "selections": digest(columns_of(result, SELECTIONS)),
        "program": digest(columns_of(compiled.program.objective, PROGRAM)),
        "bound": float(compiled.bound),
    }


def files(folder: str, count: int | None, tokens: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and arrays of ``count`` files, spread over all of them, cut to ``tokens``."""
    paths = sorted(Path(folder).glob("*.npz"))
    if not paths:
        raise SystemExit(f"{folder} holds no .npz files")
    if count is not None and count < len(paths):
        places = np.linspace(0, len(paths) - 1, count).round().astype(int)
        paths = [paths[place] for place in places.tolist()]
    for path in paths:
        with np.load(path) as file:
            yield (
                path.stem,
                {
                    "scores": file["scores"][:, :tokens, :tokens],
                    "value": file["value"][:, :tokens],
                    "key": file["key"][:, :tokens],
                    "kv_head": file["kv_head"],
                },
            )


def compared(earlier: dict[str, Any], now: dict[str, Any]) -> int:
    """Print what differs and return how many keys do.

    Keys of files and targets that were not run this time are no difference; they are counted.
    """
    ran = {(key.split()[0], key.split()[-1]) for key in now}
    left = [key for key in earlier if (key.split()[0], key.split()[-1]) not in ran]
    differ = 0
    for key in sorted((earlier.keys() | now.keys()) - set(left)):
        before, after = earlier.get(key), now.get(key)
        if before == after:
            continue
        differ += 1
        if before is None or after is None:
            print(f"{key}: only {'now' if before is None else 'earlier'}")
            continue
        names = [name for name in before | after if before.get(name) != after.get(name)]
        shown = (f"{name} {before.get(name)} -> {after.get(name)}" for name in names)
        print(f"{key}: {', '.join(shown)}")
    if left:
        print(f"{len(left)} of the earlier keys were not run")
    print(f"{differ} differ" if differ else "equal")
    return differ


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--targets", default="zephyr:12,pegasus:16", help="parted by commas")
    options.add_argument("--tokens", type=int, default=64, help="most queries and keys of a file")
    options.add_argument("--files", type=int, help="so many only, for a quick look")
    options.add_argument("--seed", type=int, default=1, help="of embeddings and annealing")
    options.add_argument("--compare", metavar="FILE", help="an earlier run with --json")
    chosen = options.parse_args()
    targets = chosen.targets.split(",")
    earlier: dict[str, Any] = {}
    if chosen.compare:
        earlier = json.loads(Path(chosen.compare).read_text().splitlines()[-1])
        earlier.pop("seconds", None)
    print(f"qubo_attn of {Path(qa.__file__).parent}")
    start = time.perf_counter()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as cache:
        for name, arrays in files(chosen.data, chosen.files, chosen.tokens):
            shared = len(np.unique(arrays["kv_head"])) < len(arrays["kv_head"])
            ties = (False, True) if shared else (False,)
            for objective, select, tied, target in product(OBJECTIVES, SELECTS, ties, targets):
                key = f"{name} {objective} {select} {'tied' if tied else 'apart'} {target}"
                found[key] = measure(
                    arrays, objective, SELECTS[select], tied, target, cache, chosen.seed
                )
                shown = "  ".join(f"{column} {value}" for column, value in found[key].items())
                print(f"{key:<66} {shown}", flush=True)
    seconds = round(time.perf_counter() - start, 1)
    print(f"{len(found)} settings in {seconds} s")
    differ = compared(earlier, found) if chosen.compare else 0
    finish(found | {"seconds": seconds}, chosen.json)
    if differ:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
