"""Warmth of a machine: its temperature, the errors of its coefficients, its susceptibility.

All figures are in hardware units, those of fields and couplings. What a machine does not state is
taken from the vendor's published figures. Single-qubit temperatures are 0.112 to 0.119 in units of
the field. Errors are 0.008 to 0.026 for fields and 0.009 to 0.016 for couplings. The background
susceptibility is -0.015 to -0.04.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from qubo_attn.common.checks import number
from qubo_attn.errors import InputError, TargetError
from qubo_attn.machine.known import known

_TEMPERATURE = 0.115
_SUSCEPTIBILITY = -0.02


class Errors(NamedTuple):
    """Standard deviations of what a machine sets its coefficients to, in hardware units.

    Attributes:
        field: standard deviation of a field.
        coupling: standard deviation of a coupling.

    Example:
        >>> from qubo_attn import Target
        >>> Target.zephyr(2).errors
        Errors(field=0.015, coupling=0.012)
    """

    field: float = 0.015
    coupling: float = 0.012


class Warm:
    """What keeps a machine from the ground state, read from its ``properties``.

    A property that is there and does not read raises a `TargetError` that names it.
    """

    properties: Mapping[str, Any]
    label: str

    @cached_property
    def temperature(self) -> float:
        """Temperature in units of a field, stated as ``temperature``.

        Where it is not, that of the machine of this name (`qubo_attn.machine.known`), else 0.115.
        """
        facts = known(self.label)
        usual = _TEMPERATURE if facts is None else facts.temperature
        value = self._figure("temperature", usual, least=0.0)
        if value == 0.0:
            raise TargetError("the machine's property temperature must be above 0", found=value)
        return value

    @cached_property
    def errors(self) -> Errors:
        """Errors of fields and couplings, stated as ``field_error`` and ``coupling_error``."""
        usual = Errors()
        return Errors(
            self._figure("field_error", usual.field, least=0.0),
            self._figure("coupling_error", usual.coupling, least=0.0),
        )

    @cached_property
    def susceptibility(self) -> float:
        """Background susceptibility, stated as ``susceptibility``; -0.02 where it is not.

        A field h leaks ``chi J h`` over every coupling J; two couplings of one qubit add
        ``chi J J'`` between their other ends. `solve` and `submit` subtract both from what they
        program; state 0 where they shall not.
        """
        return self._figure("susceptibility", _SUSCEPTIBILITY)

    def _figure(self, name: str, usual: float, least: float | None = None) -> float:
        value = self.properties.get(name)
        if value is None:
            return usual
        try:
            return number(f"the machine's property {name}", value, least)
        except InputError as error:
            raise TargetError(str(error), property=name, found=value) from error
