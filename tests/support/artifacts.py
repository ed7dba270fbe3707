"""Artifacts changed after they were saved, with checksums that are right or stale."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Array, digest_of
from qubo_attn.compilation.storage import _digest

Change = Callable[[Array], Array]


def parts_of(folder: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return facts and arrays of an artifact, unchecked."""
    with np.load(folder / "arrays.npz") as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads((folder / "artifact.json").read_text()), arrays


def write_parts(
    folder: Path, facts: dict[str, Any], arrays: dict[str, Array], *, checksums: bool
) -> None:
    """Write an artifact of facts and arrays, with checksums worked out anew or as they are."""
    folder.mkdir(exist_ok=True)
    if checksums:
        inside = {name: array for name, array in arrays.items() if name != "facts"}
        facts = facts | {"arrays": {name: digest_of({"": a}) for name, a in inside.items()}}
        text = json.dumps(facts | {"digest": _digest(facts)}).encode()
        arrays = inside | {"facts": np.frombuffer(text, np.uint8)}
    else:
        text = json.dumps(facts).encode()
    np.savez(folder / "arrays.npz", **arrays)
    (folder / "artifact.json").write_bytes(text)


def rewrite_array(folder: Path, name: str, change: Change, *, checksums: bool = True) -> None:
    """Change one array of an artifact."""
    facts, arrays = parts_of(folder)
    write_parts(folder, facts, arrays | {name: change(arrays[name])}, checksums=checksums)


def rewrite_facts(
    folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]], *, checksums: bool = True
) -> None:
    """Change the facts of an artifact."""
    facts, arrays = parts_of(folder)
    write_parts(folder, change(facts), arrays, checksums=checksums)
