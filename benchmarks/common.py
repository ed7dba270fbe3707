"""What the scripts share: files of real attention, and the closing JSON line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
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


def finish(facts: dict[str, Any], as_json: bool) -> None:
    """Print the facts as the last line where JSON was asked for."""
    if as_json:
        print(json.dumps(facts))
