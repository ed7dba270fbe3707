"""Model files, written whole or not at all.

| format | what it is |
|---|---|
| ``bqm`` | dimod's binary file, ``BinaryQuadraticModel.to_file`` |
| ``json`` | dimod's JSON, ``BinaryQuadraticModel.to_serializable`` |
| ``qp`` | what a D-Wave solver's client sends; submissions alone are written so |
| ``mtx`` | Matrix Market, a symmetric matrix over bits |
| ``npz`` | NumPy arrays, over bits |
| ``qplib`` | QPLIB, over bits; written only |
| ``ommx`` | an OMMX instance, over bits (needs the package ommx) |

The last three also hold linear constraints that a machine keeps itself. The first two keep every
label and every bit; equal models made the same way give equal bytes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.checks import instance, one_of
from qubo_attn.common.files import path_of, unread, write_file, writing
from qubo_attn.common.vocabulary import FORMATS
from qubo_attn.errors import InputError, MissingExtraError
from qubo_attn.interchange.bits import Bits
from qubo_attn.interchange.instances import from_ommx, to_ommx
from qubo_attn.interchange.texts import (
    from_matrix_market,
    from_numpy,
    to_matrix_market,
    to_numpy,
    to_qplib,
)

if TYPE_CHECKING:
    import dimod

_WRITERS = {"mtx": to_matrix_market, "npz": to_numpy, "qplib": to_qplib, "ommx": to_ommx}
# Those that hold constraints.
_CONSTRAINED = ("npz", "qplib", "ommx")


def format_of(path: Path, name: str | None) -> str:
    """Return the format asked for, or the one a file's name ends in.

    Raises:
        InputError: there is no such format, or the file's name has no ending.
    """
    if name is None and not path.suffix:
        raise InputError(
            f"{path} does not say its format; end it in .{', .'.join(FORMATS)} or give format=",
            file=str(path),
        )
    return one_of("format", path.suffix[1:] if name is None else name, FORMATS)


def write_bqm(
    bqm: dimod.BinaryQuadraticModel, path: str | os.PathLike[str], format: str | None = None
) -> None:
    """Write a model to a file, whole or not at all.

    Args:
        bqm: any model of dimod's.
        path: path of the file.
        format: ``"bqm"``, ``"json"``, ``"mtx"``, ``"npz"``, ``"qplib"`` or ``"ommx"``; what the
            file's name ends in when None. The last four are over bits, in the order of the model's
            variables.

    Raises:
        MissingExtraError: OMMX instances need the package ommx.
        InputError: there is no such format, a bias is not finite, or the file cannot be written.

    Example:
        >>> import tempfile, dimod, qubo_attn as qa
        >>> bqm = dimod.BinaryQuadraticModel({0: 1.0, 3: -2.0}, {(0, 3): 0.1}, 0.5, "SPIN")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     qa.write_bqm(bqm, f"{folder}/model.json")
        ...     qa.read_bqm(f"{folder}/model.json") == bqm
        True
    """
    path = path_of("path", path)
    chosen = format_of(path, format)
    import dimod

    instance("bqm", bqm, dimod.BinaryQuadraticModel)
    if chosen == "qp":
        raise InputError(
            "a model alone cannot be written as qp: it takes a submission with its placement, see "
            "Submission.export",
            format=chosen,
        )
    _check_finite(bqm, path)
    if chosen == "json":
        data = json.dumps(bqm.to_serializable()).encode()
    elif chosen in _WRITERS:
        write_bits(Bits.of(bqm), path, chosen)
        return
    else:
        with bqm.to_file() as stream:
            data = stream.read()
    with writing(path):
        write_file(path, data)


def write_bits(bits: Bits, path: Path, format: str | None) -> None:
    """Write a model over bits to a file, whole or not at all, with its constraints.

    Raises:
        MissingExtraError: OMMX instances need the package ommx.
        InputError: the format is not one that holds it, or the file cannot be written.
    """
    chosen = format_of(path, format)
    fitting = _CONSTRAINED if len(bits.constraints) else tuple(_WRITERS)
    if chosen not in fitting:
        raise InputError(
            f"{chosen} cannot hold the constraints that the machine keeps itself; write "
            f"{', '.join(fitting)}",
            format=chosen,
        )
    data = _WRITERS[chosen](bits)
    with writing(path):
        write_file(path, data)


def read_bqm(path: str | os.PathLike[str], format: str | None = None) -> dimod.BinaryQuadraticModel:
    """Read a model from a file; one that a submission exported equals that submission's.

    Args:
        path: path of the file.
        format: as for `write_bqm`; what the file's name ends in when None.

    Returns:
        A model with the labels, type and constant that the file holds.

    Raises:
        InputError: the file does not read, or holds a bias that is not finite; names it.

    Example:
        >>> import tempfile, qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     compiled.submissions[0].export(f"{folder}/row.bqm")
        ...     qa.read_bqm(f"{folder}/row.bqm") == compiled.submissions[0].bqm
        True
    """
    import dimod

    path = path_of("path", path)
    chosen = format_of(path, format)
    if chosen == "qp":
        raise InputError(
            f"{path}: qp cannot be read back, as it leaves out which qubits it is for",
            file=str(path),
        )
    if chosen == "qplib":
        raise InputError(f"{path}: qplib files are written, not read", file=str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(unread(path, chosen, error), file=str(path)) from None
    try:
        if chosen == "json":
            bqm = dimod.BinaryQuadraticModel.from_serializable(json.loads(data))
        elif chosen == "mtx":
            bqm = from_matrix_market(data).model()
        elif chosen == "npz":
            bqm = from_numpy(path).model()
        elif chosen == "ommx":
            bqm = from_ommx(data).model()
        else:
            bqm = dimod.BinaryQuadraticModel.from_file(data)
    except MissingExtraError:
        raise
    except Exception as error:
        # dimod's readers raise what their parts raise, down to struct.error and AssertionError.
        raise InputError(unread(path, chosen, error), file=str(path)) from error
    _check_finite(bqm, path)
    return bqm


def _check_finite(bqm: dimod.BinaryQuadraticModel, path: Path) -> None:
    linear, (_, _, bias), offset = bqm.to_numpy_vectors()
    if not (np.isfinite(linear).all() and np.isfinite(bias).all() and np.isfinite(offset)):
        raise InputError(f"{path}: a bias of the model is not finite", file=str(path))
