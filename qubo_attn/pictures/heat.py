"""Heat maps of attention: one pixel per query and key, the more opaque the more weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats
from qubo_attn.common.words import plural
from qubo_attn.pictures.markup import escape
from qubo_attn.pictures.png import png_uri

# Blue for weight, amber for keys that were kept; both read on white and on black.
WEIGHT = (37, 99, 235)
KEPT = (217, 119, 6)
DROPPED = (128, 128, 128)
# A kept key shows even where its weight is next to nothing.
_LEAST = 0.3
# Width of a map, its least height, size of letters, and how many of them a label has.
WIDTH = 300
_LOWEST = 40.0
_TEXT = 9.0
_LETTER = 5.2
_LETTERS = 9
# Room for the longest label, and for the name of the axis beyond it.
_LEFT = _TOP = _LETTER * _LETTERS + 26
# Between the longest label of an axis and its name, and between labels that are numbers.
_GAP, _NUMBERS = 8.0, 15.0
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
# A picture is at most this many keys or queries wide; all heads together this many pixels.
_WIDEST = 256
_PIXELS = 750_000
# Heads with a thumbnail.
_THUMBNAILS = 16


def weights_map(weights: Floats, visible: Bools) -> Array:
    """Return attention of one head as pixels, shape (Q, K, 4); hidden keys are transparent."""
    return painted(np.sqrt(np.clip(weights, 0.0, 1.0)) * visible, WEIGHT)


def candidates_map(weights: Floats, visible: Bools, left: Bools) -> Array:
    """Return the keys left to choose from, as pixels; dropped keys are a faint grey."""
    pixels = weights_map(weights, visible & left)
    pixels[visible & ~left] = (*DROPPED, 50)
    return pixels


def selected_map(weights: Floats, visible: Bools, selected: Bools) -> Array:
    """Return attention after selection as pixels: kept keys in amber."""
    pixels = weights_map(weights, visible)
    strength = np.sqrt(np.clip(weights, 0.0, 1.0))
    pixels[selected] = painted(_LEAST + (1.0 - _LEAST) * strength, KEPT)[selected]
    return pixels


def painted(opacity: Floats, colour: tuple[int, int, int]) -> Array:
    """Return pixels of one colour; opacity from 0 to 1."""
    pixels = np.empty((*opacity.shape, 4), np.uint8)
    pixels[..., :3] = colour
    pixels[..., 3] = np.rint(255.0 * np.clip(opacity, 0.0, 1.0))
    return pixels


def thumbnails(weights: Floats, selected: Bools) -> str:
    """Return small pictures of what heads selected, shape (H, Q, K), and what it weighs."""
    heads, visible = len(selected), np.ones(selected.shape[1:], bool)
    pictures = []
    for head in range(min(heads, _THUMBNAILS) if selected.size else 0):
        pixels = shrunk(selected_map(weights[head], visible, selected[head]), _THUMBNAILS)
        pictures.append(
            f'<img src="{png_uri(pixels)}" alt="head {head}: queries down, keys across, kept keys '
            f'in amber" title="head {head}" width="96" height="96" style="image-rendering:'
            'pixelated;border:1px solid #8888;margin:2px;display:inline-block">'
        )
    left = heads - _THUMBNAILS
    more = f"<p>{plural(left, 'more head')}</p>" if left > 0 else ""
    return f"<div>{''.join(pictures)}</div>{more}"


def shrunk(pixels: Array, heads: int) -> Array:
    """Return pixels small enough for a page with the maps of so many heads.

    Several pixels become one: the most opaque of them.
    """
    limit = min(_WIDEST, max(int(np.sqrt(_PIXELS / (3 * heads))), 16))
    for axis in (0, 1):
        size = pixels.shape[axis]
        if size > limit:
            step = -(-size // limit)
            groups = np.split(pixels, range(step, size, step), axis=axis)
            pixels = np.stack([_strongest(group, axis) for group in groups], axis=axis)
    return pixels


def _strongest(pixels: Array, axis: int) -> Array:
    place = np.expand_dims(pixels[..., 3].argmax(axis=axis), (axis, 2))
    return np.take_along_axis(pixels, place, axis=axis).squeeze(axis=axis)


@dataclass(frozen=True)
class Frame:
    """The size of a map and of its margins, in units of the drawing.

    The margins are the same whatever the labels are, so that pages with tokens look alike.

    Attributes:
        height: of the map; `WIDTH` is its width.
        query_name, key_name: how far the names of the axes stand from the map.
    """

    height: float
    query_name: float
    key_name: float

    @classmethod
    def of(cls, queries: Sequence[str], keys: Sequence[str]) -> Frame:
        """Return a frame with square pixels; maps of few queries are stretched."""
        height = WIDTH * len(queries) / max(len(keys), 1)
        names = [
            5.0 + _LETTER * max((len(_short(text)) for text in labels), default=0) + _GAP
            for labels in (queries, keys)
        ]
        return cls(float(np.clip(height, _LOWEST, WIDTH)), names[0], names[1])

    @property
    def box(self) -> str:
        """The view box of a map with its margins."""
        width, height = WIDTH + _LEFT + 4, self.height + _TOP + 4
        return f"{-_LEFT:g} {-_TOP:g} {width:g} {height:g}"


def picture(name: str, uri: str, frame: Frame) -> str:
    """Return a picture with a name, stretched over a map; `large` and `small` show it."""
    return (
        f'<image id="{name}" href="{uri}" width="{WIDTH}" height="{frame.height:g}" '
        'preserveAspectRatio="none" style="image-rendering:pixelated"/>'
    )


def axes(queries: Sequence[str], keys: Sequence[str], frame: Frame) -> str:
    """Return the frame and the labels that all large maps share."""
    down = "".join(
        f'<text x="-5" y="{y + 3:.1f}" text-anchor="end">{escape(text)}</text>'
        for y, text in _ticks(queries, frame.height)
    )
    across = "".join(
        f'<text transform="translate({x + 3:.1f} -5) rotate(-90)">{escape(text)}</text>'
        for x, text in _ticks(keys, WIDTH)
    )
    return (
        '<g id="axes" class="ticks">'
        f'<rect class="frame" width="{WIDTH}" height="{frame.height:g}"/>{down}{across}'
        f'<text class="axis" transform="translate({-frame.query_name:g} {frame.height / 2:g}) '
        'rotate(-90)" text-anchor="middle">query</text>'
        f'<text class="axis" x="{WIDTH / 2:g}" y="{-frame.key_name:g}" text-anchor="middle">key'
        "</text></g>"
    )


def _ticks(labels: Sequence[str], length: float) -> list[tuple[float, str]]:
    """Return place and text of as many labels as have room."""
    step = length / max(len(labels), 1)
    if all(text == str(place) for place, text in enumerate(labels)):
        every = next((e for e in _STEPS if e * step >= _NUMBERS), _STEPS[-1])
    else:
        every = max(int(np.ceil(_TEXT / max(step, 1e-9))), 1)
    return [((place + 0.5) * step, _short(labels[place])) for place in range(0, len(labels), every)]


def _short(label: str) -> str:
    return label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…"


def large(name: str, title: str, says: str, frame: Frame) -> str:
    """Return one map with its axes.

    Args:
        name: name of the picture.
        title: title above it, as text.
        says: the map in words, for readers who cannot see it.
        frame: size of the map.
    """
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="{frame.box}" role="img" '
        f'aria-label="{escape(says)}"><use href="#{name}"/><use href="#axes"/></svg></figure>'
    )


def small(names: Sequence[str], frame: Frame) -> str:
    """Return maps side by side, without axes; the text beside them says the same."""
    step = WIDTH + 20
    maps = "".join(
        f'<g transform="translate({place * step} 0)"><use href="#{name}"/>'
        f'<rect class="frame" width="{WIDTH}" height="{frame.height:g}"/></g>'
        for place, name in enumerate(names)
    )
    box = f"-2 -2 {step * len(names) - 16} {frame.height + 4:g}"
    return f'<svg viewBox="{box}" aria-hidden="true">{maps}</svg>'
