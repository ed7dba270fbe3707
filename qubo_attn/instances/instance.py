"""One instance: a row of real attention, or rows joined, as a model of bits with proven optimum."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from qubo_attn.common.brief import Brief


@dataclass(frozen=True)
class Price(Brief):
    """What a constraint of a model costs, or what a certificate proves of it.

    With ``over``, the left side minus the right side, it is ``weight * over**2 + slope * over``.
    Gates and walls, which hold one way, cost ``weight`` times what is over.

    Attributes:
        label: of the constraint; heads and queries count from 0 within the instance.
        weight, slope: the price.
        margin: how far above the optimum the proof puts states that break it; None without one.
        proof: what proves it, as `Certificates` calls it; None where nothing does.
    """

    label: str
    weight: float
    slope: float
    margin: float | None = None
    proof: str | None = None


@dataclass(frozen=True)
class Instance(Brief):
    """A row of real attention, or rows joined, as a binary quadratic model with proven optimum.

    Energies count the constant and all penalties.

    Attributes:
        name: of its files, without ending.
        kind: ``"row"``, ``"at-most"``, ``"soft"``, ``"tied"`` or ``"coupled"``.
        objective, select: what it minimises, and what a row keeps.
        source: file that it was drawn from, without folders; model, layer and licence are what
            that file says, or the caller, and None where nobody does.
        heads, queries: of the file.
        slots: most keys that a row chooses from.
        variables, couplers: of the model.
        offset: its constant.
        energy: lowest energy of all states, proven.
        second: second lowest of all states; None where it is not proven.
        optima: how many states have the lowest energy.
        feasible_second: second lowest energy of states that break no constraint; None where it is
            not proven.
        rounding: energies that lie no further apart count as one.
        proof: ``"enumeration"``, ``"branch and bound"`` or ``"branch and bound, certificates"``.
        state, second_state: bits of a state of each energy, in the order of the variables; of
            several optima the one that is 1 at the first bit in which they differ.
        selection: (head, query, key, level) of each key that the optimum keeps; head or query is
            None where rows are tied.
        penalties: prices of all constraints in the model.
        certificates: proofs of prices, by the constraints before they got a form of their own.
        margin: how far above the optimum the certificates put every state that breaks a
            constraint; None where they do not prove all prices.
        files: SHA-256 of each file, by its ending: ``mtx``, ``qplib``, ``bqm``, and
            ``constrained.qplib`` (the same rows with constraints in place of penalties).

    Example:
        >>> import tempfile, qubo_attn as qa
        >>> file = "fixtures/attention/minilm_d02_L1_n10.npz"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     one, two = qa.write_instances(folder, file, count=2, sizes=(8, 10))
        ...     model = qa.read_bqm(f"{folder}/{one.name}.bqm")
        >>> best = dict(enumerate(map(int, one.state)))
        >>> bool(abs(model.energy(best) - one.energy) < 1e-9), one.optima, one.gap > 0
        (True, 1, True)
    """

    name: str
    kind: str
    objective: str
    select: str
    source: str
    model: str | None
    layer: int | None
    licence: str | None
    heads: tuple[int, ...]
    queries: tuple[int, ...]
    slots: int
    variables: int
    couplers: int
    offset: float
    energy: float
    second: float | None
    optima: int
    feasible_second: float | None
    rounding: float
    proof: str
    state: str
    second_state: str
    selection: tuple[tuple[int | None, int | None, int, int], ...]
    penalties: tuple[Price, ...]
    certificates: tuple[Price, ...]
    margin: float | None
    files: dict[str, str]

    @property
    def gap(self) -> float | None:
        """How far the second lowest energy lies above the lowest; None where it is not proven."""
        return None if self.second is None else self.second - self.energy

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain data, ``gap`` among them."""
        return asdict(self) | {"gap": self.gap}
