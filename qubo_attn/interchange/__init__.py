"""Models in files that others read: dimod's own format, text, and JSON.

| format | suffix | source of the format |
|---|---|---|
| ``bqm`` | ``.bqm`` | dimod's binary file, ``BinaryQuadraticModel.to_file`` |
| ``json`` | ``.json`` | dimod's JSON, ``BinaryQuadraticModel.to_serializable`` |
| ``coo`` | ``.coo`` | dimod's text of coordinates, ``dimod.serialization.coo`` |
| ``bqpjson`` | ``.bqpjson`` | bqpjson 1.0.0 (github.com/lanl-ansi/bqpjson) |
| ``qp`` | ``.qp`` | what a D-Wave solver's client sends; written only |
"""

from __future__ import annotations

from qubo_attn.interchange.formats import FORMATS, Format, read_bqm, write_bqm

__all__ = ["FORMATS", "Format", "read_bqm", "write_bqm"]
