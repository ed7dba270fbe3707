"""The formats by name, and what all of them share: checks, and errors that name the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.checks import nearest
from qubo_attn.common.files import write_file
from qubo_attn.errors import InputError
from qubo_attn.interchange import bqpjson, coo, native

if TYPE_CHECKING:
    import dimod


@dataclass(frozen=True)
class Format:
    """How models are written and read.

    Attributes:
        name: what it is called; its files end in a dot and this.
        summary: what it is, in a line.
        write: model to bytes; None where only submissions can be written.
        read: bytes to a model; None where it cannot be read back.
    """

    name: str
    summary: str
    write: Callable[[dimod.BinaryQuadraticModel], bytes] | None = None
    read: Callable[[bytes], dimod.BinaryQuadraticModel] | None = None


FORMATS = {
    format.name: format
    for format in (
        Format("bqm", "dimod's binary file", native.to_file, native.from_file),
        Format("json", "dimod's JSON (to_serializable)", native.to_json, native.from_json),
        Format("coo", "text of coordinates, as dimod reads it", coo.dump, coo.load),
        Format("bqpjson", "bqpjson 1.0.0, of any solver", bqpjson.dump, bqpjson.load),
        Format("qp", "what a D-Wave solver's client sends (placed submissions; written only)"),
    )
}


def format_named(name: str) -> Format:
    """Return the format of a name.

    Raises:
        InputError: there is none; names those there are.
    """
    if name not in FORMATS:
        raise InputError(
            f"unknown format {name!r}; one of {', '.join(FORMATS)}{nearest(name, FORMATS)}",
            format=name,
        )
    return FORMATS[name]


def format_of(path: Path, name: str | None) -> Format:
    """Return the format asked for, or the one a file's name ends in."""
    if name is None and not path.suffix:
        raise InputError(
            f"{path} does not say its format; end it in .{', .'.join(FORMATS)} or give format=",
            file=str(path),
        )
    return format_named(path.suffix[1:] if name is None else name)


def write_bqm(
    bqm: dimod.BinaryQuadraticModel, path: str | os.PathLike[str], format: str | None = None
) -> None:
    """Write a model to a file, whole or not at all.

    Args:
        bqm: any model of dimod's.
        path: of the file.
        format: ``"bqm"``, ``"json"``, ``"coo"`` or ``"bqpjson"``; what the name ends in when None.

    Raises:
        InputError: no such format, a bias that is not finite, or labels the format cannot hold.

    Example:
        >>> import tempfile, dimod, qubo_attn as qa
        >>> bqm = dimod.BinaryQuadraticModel({0: 1.0, 3: -2.0}, {(0, 3): 0.1}, 0.5, "SPIN")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     qa.write_bqm(bqm, f"{folder}/model.coo")
        ...     qa.read_bqm(f"{folder}/model.coo") == bqm
        True
    """
    path = Path(path)
    chosen = format_of(path, format)
    if chosen.write is None:
        raise InputError(
            f"a model alone cannot be written as {chosen.name}: it takes a submission with its "
            "placement, see Submission.export",
            format=chosen.name,
        )
    _check_finite(bqm, path)
    write_file(path, chosen.write(bqm))


def read_bqm(path: str | os.PathLike[str], format: str | None = None) -> dimod.BinaryQuadraticModel:
    """Read a model from a file; one that a submission exported equals that submission's.

    Args:
        path: of the file.
        format: as for `write_bqm`; what the name ends in when None.

    Returns:
        A model with the labels, type and constant that the file holds.

    Raises:
        InputError: the file does not read, or holds a bias that is not finite; names it.

    Example:
        >>> import tempfile, qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     compiled.submissions[0].export(f"{folder}/row.bqpjson")
        ...     qa.read_bqm(f"{folder}/row.bqpjson") == compiled.submissions[0].bqm
        True
    """
    path = Path(path)
    chosen = format_of(path, format)
    if chosen.read is None:
        raise InputError(
            f"{path}: {chosen.name} cannot be read back, as it leaves out which qubits it is for",
            file=str(path),
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}", file=str(path)) from None
    try:
        bqm = chosen.read(data)
    except Exception as error:
        # dimod's readers raise what their parts raise, down to struct.error and AssertionError.
        raise InputError(
            f"{path} does not read as {chosen.name}: {error!r}", file=str(path)
        ) from error
    _check_finite(bqm, path)
    return bqm


def _check_finite(bqm: dimod.BinaryQuadraticModel, path: Path) -> None:
    linear, (_, _, bias), offset = bqm.to_numpy_vectors()
    if not (np.isfinite(linear).all() and np.isfinite(bias).all() and np.isfinite(offset)):
        raise InputError(f"{path}: a bias of the model is not finite", file=str(path))
