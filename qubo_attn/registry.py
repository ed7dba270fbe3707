"""Passes by name: those shipped here, and those that installed packages bring.

A package brings a pass by an entry point of the group ``qubo_attn.passes``, whose name is the
pass's own and whose value is the class (docs/own_pass.md). Nothing is loaded before it is named.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from qubo_attn import passes as shipped
from qubo_attn.common.checks import nearest, several, shown
from qubo_attn.errors import PassError
from qubo_attn.pipeline.pipeline import Pass, is_pass

GROUP = "qubo_attn.passes"
DEFAULT = "default"
SHIPPED: dict[str, type[Pass]] = {
    p.name: p
    for p in (
        shipped.TieVariables,
        shipped.Canonicalize,
        shipped.Sparsify,
        shipped.SplitRows,
        shipped.DropCouplers,
        shipped.Compress,
        shipped.InsertPenalties,
        shipped.BinarizeWeights,
        shipped.KeepOneHot,
        shipped.Quantize,
    )
}


@dataclass(frozen=True)
class KnownPass:
    """A pass that can be named.

    Attributes:
        name: what it is called.
        package: what brings it, with the version.
        summary: first line of its documentation.
        options: its options with their defaults.
        problem: why it cannot be used; empty where it can.
    """

    name: str
    package: str
    summary: str = ""
    options: str = ""
    problem: str = ""


def known_passes() -> tuple[KnownPass, ...]:
    """Return every pass that can be named, those of other packages last.

    Example:
        >>> from qubo_attn.registry import known_passes
        >>> known_passes()[1]
        KnownPass(name='canonicalize', package='qubo-attn', summary='Fix variables that the \
constraints leave one value.', options='', problem='')
    """
    entries = [_described(name, "qubo-attn", class_) for name, class_ in SHIPPED.items()]
    for entry in _own():
        try:
            entries.append(_described(entry.name, package_of(entry.name), pass_named(entry.name)))
        except PassError as error:
            entries.append(KnownPass(entry.name, _package(entry), problem=str(error)))
    return tuple(dict.fromkeys(entries))


def pass_named(name: str) -> type[Pass]:
    """Return the class of the pass of a name.

    Raises:
        PassError: no pass has that name, or that of another package is no pass; says why.

    Example:
        >>> from qubo_attn.registry import pass_named
        >>> pass_named("sparsfy")
        Traceback (most recent call last):
        qubo_attn.errors.PassError: unknown pass 'sparsfy'; did you mean 'sparsify'? All are \
listed by `qubo-attn passes`
    """
    if name in SHIPPED:
        return SHIPPED[name]
    found = _own(name)
    if not found:
        if name == "embed":
            raise PassError("embed is not named: a target brings it", name=name)
        close = nearest(name, [*SHIPPED, *(entry.name for entry in _own())]) or "."
        raise PassError(
            f"unknown pass {name!r}{close} All are listed by `qubo-attn passes`", name=name
        )
    if len({entry.value for entry in found}) > 1:
        packages = " and ".join(_package(entry) for entry in found)
        raise PassError(f"{packages} both bring a pass {name!r}; uninstall one", name=name)
    return _loaded(found[0])


def package_of(name: str) -> str:
    """Return the package and version that brings a pass; empty where none does."""
    if name in SHIPPED:
        return "qubo-attn"
    found = _own(name)
    return _package(found[0]) if found else ""


def parse_pass(text: str) -> Pass:
    """Return the pass that a text describes, as reports print it.

    Args:
        text: a name, and in braces the options that differ from their defaults.

    Raises:
        PassError: the text does not read, or no pass or option has that name.

    Example:
        >>> from qubo_attn.registry import parse_pass
        >>> parse_pass("sparsify{slots=12}").slots
        12
    """
    name, brace, rest = text.strip().partition("{")
    if brace and not rest.endswith("}"):
        raise PassError(f"pass {text.strip()!r} lacks its closing brace", text=text)
    class_ = pass_named(name.strip())
    options = dict(_option(text, part) for part in _split(rest[:-1])) if brace else {}
    known = list(_defaults(class_))
    for option in options:
        if option not in known:
            raise PassError(
                f"{class_.name} has no option {option!r}{nearest(option, known)} "
                f"(has {', '.join(known) or 'none'})",
                name=class_.name,
                option=option,
            )
    try:
        return class_(**options)
    except TypeError as error:
        raise PassError(f"{text.strip()!r} makes no pass: {error}", text=text) from error


def passes_of(
    passes: str | Sequence[Pass | str] | None, default: Callable[[], tuple[Pass, ...]]
) -> tuple[Pass, ...]:
    """Return passes from what a caller gave.

    Args:
        passes: passes and texts of such, or one text of several parted by commas; ``"default"``
            stands for those that are used unless others are given; None for these alone.
        default: makes these.

    Raises:
        PassError: a text does not read, or no pass has that name.
    """
    if passes is None:
        return default()
    steps: list[Pass] = []
    for step in _split(passes) if isinstance(passes, str) else several("passes", passes):
        if not isinstance(step, str):
            if not is_pass(step):
                raise PassError(f"passes holds {shown(step)}, which is no pass and no name of one")
            steps.append(step)
        elif step.strip() == DEFAULT:
            steps.extend(default())
        else:
            steps.append(parse_pass(step))
    return tuple(steps)


def _own(name: str | None = None) -> list[EntryPoint]:
    """Return what installed packages register, in an order that no installation changes."""
    found = entry_points(group=GROUP) if name is None else entry_points(group=GROUP, name=name)
    return sorted(found, key=lambda entry: (entry.name, entry.value))


def _package(entry: EntryPoint) -> str:
    # Named by what it points to where it comes without a distribution.
    return entry.value if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def _loaded(entry: EntryPoint) -> type[Pass]:
    """Return the class behind an entry point, once it looks like a pass."""
    of = f"pass {entry.name!r} of {_package(entry)}"
    try:
        found = entry.load()
    except Exception as error:
        # Whatever the package does when it is imported, it is its failure that is told.
        raise PassError(f"{of} does not load: {error!r}", name=entry.name) from error
    missing = [name for name in ("needs", "ensures", "breaks", "apply") if not hasattr(found, name)]
    if not isinstance(found, type) or not is_dataclass(found) or missing:
        lacks = f"lacks {', '.join(missing)}" if missing else "is no dataclass"
        raise PassError(f"{of} {lacks}: {entry.value}", name=entry.name)
    own_name = getattr(found, "name", None)
    if own_name != entry.name:
        text = f"{of} calls itself {own_name!r}; register it by its own name"
        raise PassError(text, name=entry.name)
    return cast(type[Pass], found)


def _described(name: str, package: str, class_: type[Pass]) -> KnownPass:
    summary = (class_.__doc__ or "").strip().partition("\n")[0]
    options = [
        option if value is MISSING else f"{option}={value}"
        for option, value in _defaults(class_).items()
    ]
    return KnownPass(name, package, summary, ", ".join(options))


def _defaults(class_: type[Pass]) -> dict[str, object]:
    """Return the options of a pass with their defaults."""
    declared = fields(class_)  # type: ignore[arg-type]  # a pass is a dataclass
    return {field.name: field.default for field in declared if field.init}


def _split(text: str) -> list[str]:
    """Return what commas part, those within brackets passed over."""
    parts, depth, start = [], 0, 0
    for at, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in (*parts, text[start:]) if part.strip()]


def _option(text: str, part: str) -> tuple[str, object]:
    """Return name and value of an option; what is no Python literal is a word."""
    name, equals, value = part.partition("=")
    if not equals or not name.strip().isidentifier():
        raise PassError(
            f"{text.strip()!r} does not read at {part.strip()!r}: options are name=value", text=text
        )
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return name.strip(), value.strip()
