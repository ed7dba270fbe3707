"""Text of coordinates: ``u v bias`` a line, ``u u bias`` for a field, as dimod reads it.

``dimod.serialization.coo`` (0.12) writes six decimals, leaves out the constant and every variable
without a field or coupler, and when it reads skips a bias with an exponent without a word. So here
biases are written in full without exponents, each variable has its line, and the constant stands
in a comment, ``# offset=x``, that this reader takes and dimod's passes over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Floats
from qubo_attn.interchange.columns import Columns, columns_of, model_of

if TYPE_CHECKING:
    import dimod

_VARTYPE = re.compile(r"^\s*#.*?vartype[:=]\s*(\w+)", re.MULTILINE)
_OFFSET = re.compile(r"^\s*#.*?offset[:=]\s*(\S+)", re.MULTILINE)
# Up to here every whole number is a float64, which is what columns are read as.
_LARGEST = 2**53


def dump(bqm: dimod.BinaryQuadraticModel) -> bytes:
    """Return the text of a model.

    Raises:
        InputError: a label is no whole number of at least 0.

    Example:
        >>> import dimod
        >>> from qubo_attn.interchange import coo
        >>> model = dimod.BinaryQuadraticModel({0: 1e-7, 3: 0.0}, {(0, 3): -1.0}, 0.5, "SPIN")
        >>> print(coo.dump(model).decode())
        # vartype=SPIN
        # offset=0.5
        0 0 0.0000001
        3 3 0
        0 3 -1
        <BLANKLINE>
    """
    c = columns_of(bqm)
    lines = [f"# vartype={c.vartype}", f"# offset={c.offset!r}"]
    for u, v, bias in ((c.label, c.label, c.linear), (c.u, c.v, c.bias)):
        written = (np.format_float_positional(x, trim="-") for x in bias.tolist())
        lines += map("{} {} {}".format, u.tolist(), v.tolist(), written)
    return ("\n".join(lines) + "\n").encode()


def load(data: bytes) -> dimod.BinaryQuadraticModel:
    """Return the model of a text; lines of the same variables add up.

    Raises:
        ValueError: a line does not read, or no line says the type of the variables.
    """
    text = data.decode()
    kinds = {kind.upper() for kind in _VARTYPE.findall(text)}
    if len(kinds) != 1 or not kinds <= {"SPIN", "BINARY"}:
        raise ValueError(
            f"a line '# vartype=SPIN' or '# vartype=BINARY' must say what variables are, "
            f"found {sorted(kinds) or 'none'}"
        )
    lines = [line for line in text.splitlines() if line.partition("#")[0].strip()]
    table = np.loadtxt(lines, ndmin=2) if lines else np.zeros((0, 3))
    if table.shape[1] != 3:
        raise ValueError(f"a line holds {table.shape[1]} numbers, not u, v and a bias")
    ends = table[:, :2]
    whole = (ends == np.floor(ends)) & (ends >= 0) & (ends < _LARGEST)
    if not whole.all():
        raise ValueError(f"{ends[~whole][0]:g} is no label: whole numbers of at least 0 are")
    u, v, bias = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]
    label, at = np.unique(np.concatenate([u, v]), return_inverse=True)
    field = u == v
    linear: Floats = np.bincount(
        at[: len(u)][field], weights=bias[field], minlength=len(label)
    ).astype(np.float64)
    offset = sum(map(float, _OFFSET.findall(text)))
    return model_of(Columns(label, linear, u[~field], v[~field], bias[~field], offset, kinds.pop()))
