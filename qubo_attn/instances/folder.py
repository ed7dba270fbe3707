"""The folder of instances: models in three formats, and their index."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qubo_attn._version import __version__
from qubo_attn.compiled import CompiledAttention
from qubo_attn.instances.instance import Instance
from qubo_attn.instances.sources import Source
from qubo_attn.interchange.bits import Bits
from qubo_attn.interchange.texts import to_matrix_market, to_qplib

_INDEX = "index.json"
_TABLE = "index.csv"
# Of the index: what its fields mean may change with it.
_FORMAT = 1
# Columns of the table; those of files come after.
_COLUMNS = (
    "name", "kind", "objective", "select", "source", "model", "layer", "licence", "heads",
    "queries", "slots", "variables", "couplers", "offset", "energy", "second", "gap", "optima",
    "feasible_second", "rounding", "proof", "margin", "state", "second_state", "selection",
)  # fmt: skip
# The last holds the same rows with constraints in place of penalties.
_ENDINGS = ("mtx", "qplib", "bqm", "constrained.qplib")


def model_files(
    folder: Path, name: str, compiled: CompiledAttention, constrained: CompiledAttention
) -> dict[str, str]:
    """Write the model of a compilation in every format; return the SHA-256 of each.

    Args:
        folder, name: of the files, without ending.
        compiled: with penalties.
        constrained: the same rows with constraints in place of them.
    """
    bits = _bits(compiled)
    with bits.model().to_file() as stream:
        data = {"mtx": to_matrix_market(bits), "qplib": to_qplib(bits), "bqm": stream.read()}
    data["constrained.qplib"] = to_qplib(_bits(constrained))
    for ending in _ENDINGS:
        (folder / f"{name}.{ending}").write_bytes(data[ending])
    return {ending: hashlib.sha256(data[ending]).hexdigest() for ending in _ENDINGS}


def _bits(compiled: CompiledAttention) -> Bits:
    (part,) = compiled.submissions
    form = part.linear, part.i, part.j, part.bias, part.offset
    return Bits(*form) if part.constraints is None else Bits(*form, part.constraints)


def index(
    folder: Path, made: Sequence[Instance], sources: Sequence[Source], facts: Mapping[str, Any]
) -> None:
    """Write the index, as a table and as JSON."""
    drawn = {instance.source for instance in made}
    document = {
        "format": _FORMAT,
        "made_by": {"package": "qubo-attn", "version": __version__},
        **facts,
        "sources": [
            {"file": source.file, "sha256": source.sha256, **source.stated}
            for source in sources
            if source.file in drawn
        ],
        "instances": [instance.to_dict() for instance in made],
    }
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow([*_COLUMNS, *(f"sha256_{ending.replace('.', '_')}" for ending in _ENDINGS)])
    for instance in made:
        fields = instance.to_dict()
        cells = [_cell(fields[name]) for name in _COLUMNS]
        table.writerow(cells + [instance.files[ending] for ending in _ENDINGS])
    (folder / _TABLE).write_bytes(stream.getvalue().encode())
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / _INDEX).write_bytes((text + "\n").encode())


def _cell(value: object) -> object:
    """Return a field as a cell: numbers of a tuple parted by spaces, tuples of these by ``;``."""
    if isinstance(value, tuple):
        inner = value and isinstance(value[0], tuple)
        return ";".join(str(_cell(v)) for v in value) if inner else " ".join(map(_word, value))
    return value


def _word(value: object) -> str:
    return "*" if value is None else str(value)


@contextlib.contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder whose files replace the instances of another one, all or none of them.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".instances-", dir=folder) as name:
        part = Path(name)
        yield part
        _clear(folder)
        # The index names the others, and comes last.
        for file in sorted(part.iterdir(), key=lambda file: file.name == _INDEX):
            file.replace(folder / file.name)


def _clear(folder: Path) -> None:
    """Remove the instances that a folder holds, and their index; other files stay."""
    names = set()
    if (folder / _INDEX).is_file():
        try:
            document = json.loads((folder / _INDEX).read_bytes())
            names = {str(one["name"]) for one in document["instances"]}
        except (ValueError, KeyError, TypeError):
            names = set()
    for name in names:
        for ending in _ENDINGS:
            if Path(name).name == name:
                (folder / f"{name}.{ending}").unlink(missing_ok=True)
    for name in (_INDEX, _TABLE):
        (folder / name).unlink(missing_ok=True)
