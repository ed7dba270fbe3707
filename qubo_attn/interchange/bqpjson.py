"""bqpjson 1.0.0: binary quadratic programs of any solver as one JSON document.

The format is described at github.com/lanl-ansi/bqpjson (docs/bqpjson_format.rst): the energy is
``scale (sum of quadratic terms + sum of linear terms + offset)`` over spins or booleans, variables
are whole numbers that need not follow each other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from qubo_attn.common.arrays import Array
from qubo_attn.interchange.columns import Columns, columns_of, model_of

if TYPE_CHECKING:
    import dimod

_DOMAINS = {"SPIN": "spin", "BINARY": "boolean"}


def dump(bqm: dimod.BinaryQuadraticModel) -> bytes:
    """Return the document of a model.

    Raises:
        InputError: a label is no whole number of at least 0.
    """
    c = columns_of(bqm)
    linear = zip(c.label.tolist(), c.linear.tolist(), strict=True)
    quadratic = zip(c.u.tolist(), c.v.tolist(), c.bias.tolist(), strict=True)
    document = {
        "version": "1.0.0",
        "id": 0,
        "metadata": {},
        "variable_ids": c.label.tolist(),
        "variable_domain": _DOMAINS[c.vartype],
        "scale": 1.0,
        "offset": c.offset,
        "linear_terms": [{"id": v, "coeff": bias} for v, bias in linear if bias],
        "quadratic_terms": [{"id_tail": u, "id_head": v, "coeff": x} for u, v, x in quadratic],
    }
    return (json.dumps(document) + "\n").encode()


def load(data: bytes) -> dimod.BinaryQuadraticModel:
    """Return the model of a document, its scale multiplied in.

    Raises:
        ValueError, KeyError, TypeError: the document does not read; says where.
    """
    document = json.loads(data)
    domains = {domain: vartype for vartype, domain in _DOMAINS.items()}
    if document["variable_domain"] not in domains:
        raise ValueError(f"variable_domain is {document['variable_domain']!r}, not spin or boolean")
    scale, label = float(document["scale"]), np.unique(_whole(document["variable_ids"]))
    linear = np.zeros(len(label))
    fields = document["linear_terms"]
    ids = _whole([term["id"] for term in fields])
    unknown = np.setdiff1d(ids, label)
    if len(unknown):
        raise ValueError(f"variable {unknown[0]} is not among variable_ids")
    np.add.at(linear, np.searchsorted(label, ids), _numbers(fields))
    couplers = document["quadratic_terms"]
    return model_of(
        Columns(
            label,
            scale * linear,
            _whole([term["id_tail"] for term in couplers]),
            _whole([term["id_head"] for term in couplers]),
            scale * _numbers(couplers),
            scale * float(document["offset"]),
            domains[document["variable_domain"]],
        )
    )


def _numbers(terms: list[dict[str, Any]]) -> Array:
    return np.array([term["coeff"] for term in terms], np.float64)


def _whole(ids: list[Any]) -> Array:
    odd = [entry for entry in ids if type(entry) is not int or entry < 0]
    if odd:
        raise ValueError(f"{odd[0]!r} is no variable: whole numbers of at least 0 are")
    return np.array(ids, np.int64)
