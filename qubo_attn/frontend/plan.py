"""Plans: how each layer and head of a model selects keys, and what that errs and costs."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qubo_attn.common.brief import Brief
from qubo_attn.common.checks import number, one_of, shown, whole
from qubo_attn.common.files import path_of, read_bytes, unread, write_file, writing
from qubo_attn.common.vocabulary import BACKGROUNDS
from qubo_attn.common.words import plural
from qubo_attn.errors import InputError
from qubo_attn.frontend.heads import Head
from qubo_attn.frontend.objectives import Output
from qubo_attn.frontend.plan_text import folded, numbers_text, table_lines
from qubo_attn.frontend.select import ExactlyK, Select, SoftWeights

# What the file says that it is.
_FORMAT = "qubo-attn plan 1"


@dataclass(frozen=True)
class Setting:
    """How a head selects keys, by the objective `Output`.

    Attributes:
        k: keys that a query keeps.
        levels: largest level of `SoftWeights`; None where keys are kept or not.
        slots: keys that it may choose from, those of largest softmax mass.
        background: name of what stands for the keys that are not kept.

    Example:
        >>> Setting(4, 3).head.select
        SoftWeights(levels=3, k=4, encoding='auto', scale='row-max')
    """

    k: int
    levels: int | None = None
    slots: int = 16
    background: str = "mean"

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", whole("k", self.k, 1))
        if self.levels is not None:
            object.__setattr__(self, "levels", SoftWeights(self.levels).levels)
        object.__setattr__(self, "slots", whole("slots", self.slots, 1))
        one_of("background", self.background, BACKGROUNDS)

    @property
    def select(self) -> Select:
        """What a row may select."""
        return ExactlyK(self.k) if self.levels is None else SoftWeights(self.levels, k=self.k)

    @property
    def head(self) -> Head:
        """Options of a head."""
        return Head(select=self.select, objective=Output(background=self.background))


@dataclass(frozen=True)
class LayerPlan(Brief):
    """How the heads of a layer select keys.

    Attributes:
        layer: name of the module in the model, or of the file.
        heads: one `Setting` each.
        errors: mean relative error of each head's output.
        programmings: of the machine, for the text that the plan was made on; None without one.
        microseconds: of machine time, likewise.
    """

    layer: str
    heads: tuple[Setting, ...]
    errors: tuple[float, ...]
    programmings: int | None = None
    microseconds: float | None = None

    @property
    def error(self) -> float:
        """Mean of the heads' errors."""
        return sum(self.errors) / len(self.errors)

    @property
    def slots(self) -> int:
        """Slots of the layer, which are those of its head with most."""
        return max(setting.slots for setting in self.heads)

    @property
    def options(self) -> dict[str, Any]:
        """Options of `qubo_attn.compile`, and of `qubo_attn.torch.Annealing`.

        Example:
            >>> LayerPlan("attn", (Setting(4), Setting(8)), (0.01, 0.02)).options["slots"]
            16
        """
        first = self.heads[0].head
        if len(set(self.heads)) == 1:
            return {"select": first.select, "objective": first.objective, "slots": self.slots}
        return {"heads": tuple(setting.head for setting in self.heads), "slots": self.slots}


@dataclass(frozen=True)
class Plan(Brief):
    """How the layers of a model select keys within an error; made by `qubo_attn.calibrate`.

    Printing it gives a table.

    Attributes:
        error: the budget: largest mean relative error of a head's output, or of a layer's.
        per: ``"head"`` or ``"layer"``: whose error keeps the budget.
        layers: those that keep it.
        left: those that do not, with the setting of smallest error; they keep the model's own
            attention.
        target: the machine that programmings and machine time are of; None without one.
        reads: of each programming, for the machine time.

    Example:
        >>> import tempfile
        >>> layer = LayerPlan("attn", (Setting(4), Setting(8)), (0.01, 0.02))
        >>> plan = Plan(0.05, "head", (layer,), ())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plan.save(f"{folder}/plan.json")
        ...     Plan.load(f"{folder}/plan.json") == plan
        True
    """

    error: float
    per: str
    layers: tuple[LayerPlan, ...]
    left: tuple[LayerPlan, ...]
    target: str | None = None
    reads: int = 1000

    def __getitem__(self, layer: str) -> LayerPlan:
        """Return the plan of a layer that keeps the budget, by its name."""
        return {one.layer: one for one in self.layers}[layer]

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """Options by layer, as ``use_annealed_attention(layers=)`` takes them."""
        return {layer.layer: layer.options for layer in self.layers}

    @property
    def programmings(self) -> int | None:
        """Programmings of all layers; None where no target was given."""
        each = [layer.programmings for layer in self.layers]
        return None if None in each or self.target is None else sum(n or 0 for n in each)

    @property
    def microseconds(self) -> float | None:
        """Machine time of all layers; None where none is known."""
        each = [layer.microseconds for layer in self.layers]
        return None if None in each or self.target is None else sum(t or 0.0 for t in each)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a JSON file; one that is there is replaced as a whole.

        Raises:
            InputError: the file cannot be written.
        """
        file = path_of("path", path)
        text = json.dumps({"format": _FORMAT} | dataclasses.asdict(self), indent=1)
        with writing(file):
            write_file(file, (text + "\n").encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan that `save` wrote.

        Raises:
            InputError: the file does not read as a plan; names it.
        """
        file = path_of("path", path)
        try:
            content = json.loads(read_bytes(file))
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {shown(content['format'])}, not {_FORMAT!r}")
            return cls(
                number("error", content["error"], 0),
                one_of("per", content["per"], ("head", "layer")),
                tuple(map(_layer, content["layers"])),
                tuple(map(_layer, content["left"])),
                content["target"],
                whole("reads", content["reads"], 1),
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError, InputError) as error:
            raise InputError(unread(file, "a plan", error), file=str(file)) from error

    def text(self, width: int | None = None) -> str:
        """Return the plan as a table.

        Args:
            width: longest line; columns are left out where they do not fit. Any when None.
        """
        rows = [row for layer in self.layers for row in _rows(layer)]
        lines = table_lines(rows, width) if rows else []
        whose = "each head" if self.per == "head" else "each layer"
        ours = "1 layer keeps" if len(self.layers) == 1 else f"{len(self.layers)} layers keep"
        lines += folded(f"{ours} an error of {self.error:g} of {whose}", width)
        if self.target is not None and self.layers:
            time = self.microseconds
            programmings = plural(self.programmings or 0, "programming")
            cost = f"on {self.target}: {programmings} of {self.reads} reads"
            known = "" if time is None else f", {time / 1000.0:,.0f} ms of machine time"
            lines += folded(cost + known, width)
        for layer in self.left:
            place = max(range(len(layer.heads)), key=lambda head: layer.errors[head])
            where = f"head {place}: {layer.errors[place]:.4f} at k = {layer.heads[place].k}"
            error = where if self.per == "head" else f"{layer.error:.4f} at k = {layer.heads[0].k}"
            lines += folded(f"left on its own attention: {layer.layer} ({error})", width)
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()


def plan_of(given: object) -> Plan:
    """Return a plan, or read it from a file.

    Raises:
        InputError: it is neither.

    Example:
        >>> plan_of(Plan(0.05, "head", (), ())).layers
        ()
    """
    if isinstance(given, Plan):
        return given
    if isinstance(given, (str, os.PathLike)):
        return Plan.load(Path(given))
    raise InputError(
        f"plan must be a qubo_attn.Plan or the file of one, not {shown(given)}", argument="plan"
    )


def _layer(content: Any) -> LayerPlan:
    """Return the plan of a layer from what a file says."""
    heads = tuple(Setting(**setting) for setting in content["heads"])
    errors = tuple(number("errors", error, 0) for error in content["errors"])
    if not heads or len(heads) != len(errors) or not isinstance(content["layer"], str):
        raise ValueError("a layer has a name, and a setting and an error for each head")
    counts = content["programmings"], content["microseconds"]
    return LayerPlan(
        content["layer"],
        heads,
        errors,
        None if counts[0] is None else whole("programmings", counts[0]),
        None if counts[1] is None else number("microseconds", counts[1], 0),
    )


def _rows(layer: LayerPlan) -> list[dict[str, str]]:
    """Return the lines of a layer: one for all heads of one setting."""
    rows: list[dict[str, str]] = []
    for setting in dict.fromkeys(layer.heads):
        heads = [head for head, other in enumerate(layer.heads) if other == setting]
        errors = [layer.errors[head] for head in heads]
        row = {
            "layer": "" if rows else layer.layer,
            "heads": numbers_text(heads),
            "k": str(setting.k),
            "slots": str(setting.slots),
            "levels": "-" if setting.levels is None else str(setting.levels),
            "background": setting.background,
            "error": f"{sum(errors) / len(errors):.4f}",
            "largest": f"{max(errors):.4f}",
        }
        if not rows and layer.programmings is not None:
            row["programmings"] = str(layer.programmings)
            time = layer.microseconds
            row["ms"] = "-" if time is None else f"{time / 1000.0:,.0f}"
        rows.append(row)
    return rows
