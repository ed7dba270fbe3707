"""What the scripts share: files of real attention, and the closing JSON line."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every script takes."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--json", action="store_true", help="end with one JSON line")
    return options


def attention_files(folder: str | Path) -> Iterator[tuple[str, Path, dict[str, np.ndarray]]]:
    """Yield model, path and arrays of every ``MODEL_*.npz`` in ``folder``, in order."""
    paths = sorted(Path(folder).glob("*.npz"))
    if not paths:
        raise SystemExit(f"{folder} holds no .npz files")
    for path in paths:
        with np.load(path) as file:
            arrays = {name: file[name] for name in ("scores", "value", "key", "kv_head")}
        yield path.name.split("_")[0].split("-")[0], path, arrays


def top_k(mass: np.ndarray, visible: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the ``counts`` keys of largest mass of each row, tables of shape (H, Q, K)."""
    order = np.argsort(-np.where(visible, mass, -1.0), axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    return np.asarray((rank < np.asarray(counts)[..., None]) & visible)


def batches(folder: str | Path, tokens: int = 64) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return scores and values of files with twelve heads, cut to ``tokens`` queries and keys.

    All have one shape, so each may be the next batch of another.
    """
    found = [
        (arrays["scores"][:, :tokens, :tokens], arrays["value"][:, :tokens])
        for _, _, arrays in attention_files(folder)
        if arrays["scores"].shape[0] == 12 and min(arrays["scores"].shape[1:]) >= tokens
    ]
    if len(found) < 2:
        raise SystemExit(f"{folder} holds fewer than two files of 12 heads and {tokens} tokens")
    return found


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Return the median wall time of a call, once it has been made before."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def finish(facts: dict[str, Any], as_json: bool) -> None:
    """Print the facts as the last line where JSON was asked for."""
    if as_json:
        print(json.dumps(facts))
