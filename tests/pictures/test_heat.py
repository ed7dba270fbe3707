from __future__ import annotations

import re

import numpy as np

from qubo_attn.pictures.heat import Frame, axes, selected_map, shrunk, weights_map
from qubo_attn.pictures.png import png_uri
from tests.support.markup import decoded


def test_large_maps_shrink_and_keep_what_stands_out() -> None:
    weights = np.zeros((1000, 700))
    weights[777, 500] = 1.0
    pixels = shrunk(weights_map(weights, weights >= 0), heads=32)
    assert max(pixels.shape) <= 256
    assert (pixels[..., 3] == 255).sum() == 1
    assert shrunk(pixels, heads=1).shape == pixels.shape


def test_kept_keys_show_however_little_they_weigh() -> None:
    nothing = np.zeros((1, 2))
    pixels = selected_map(nothing, nothing == 0, np.array([[True, False]]))
    assert pixels[0, 0, 3] > 50
    assert pixels[0, 1, 3] == 0
    assert np.array_equal(decoded(png_uri(pixels)), pixels)


def test_names_of_axes_keep_clear_of_labels() -> None:
    for labels in (["0", "29"], ["tokenisation"] * 30):
        frame = Frame.of(labels, labels)
        svg = axes(labels, labels, frame)
        (name,) = re.findall(r'y="(-[\d.]+)" text-anchor="middle">key', svg)
        # Labels begin 5 above the map, 5.5 a letter; letters of the name hang 3 below its line.
        longest = 5 + 5.5 * min(len(max(labels, key=len)), 11)
        assert float(name) + 3 < -longest
        assert frame.top > -float(name) + 8
