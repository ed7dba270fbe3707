"""dimod's own formats: the binary file and the JSON document. Both keep every label and bit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dimod


def to_file(bqm: dimod.BinaryQuadraticModel) -> bytes:
    """Return the file; equal models made the same way give equal bytes."""
    with bqm.to_file() as stream:
        return bytes(stream.read())


def from_file(data: bytes) -> dimod.BinaryQuadraticModel:
    """Return the model of a file."""
    import dimod

    return dimod.BinaryQuadraticModel.from_file(data)


def to_json(bqm: dimod.BinaryQuadraticModel) -> bytes:
    """Return the document; numbers are written so that they read back bit for bit."""
    return json.dumps(bqm.to_serializable()).encode()


def from_json(data: bytes) -> dimod.BinaryQuadraticModel:
    """Return the model of a document."""
    import dimod

    return dimod.BinaryQuadraticModel.from_serializable(json.loads(data))
