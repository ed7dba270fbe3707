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
    numbers = [[str(place) for place in range(count)] for count in (2, 30, 100, 1200)]
    for labels in (*numbers, ["tokenisation"] * 30):
        frame = Frame.of(labels, labels)
        svg = axes(labels, labels, frame)
        (name,) = re.findall(r'y="(-[\d.]+)" text-anchor="middle">key', svg)
        shown = re.findall(r'rotate\(-90\)">([^<]*)<', svg)
        # Labels begin 5 above the map, 5.2 a letter; letters of the name hang 3 below its line.
        longest = 5 + 5.2 * max(map(len, shown))
        assert float(name) + 3 < -longest
        assert float(frame.box.split()[1]) < float(name) - 8


def test_numbers_at_an_axis_do_not_touch() -> None:
    for count in (2, 30, 31, 100, 1200):
        labels = [str(place) for place in range(count)]
        svg = axes(labels, labels, Frame.of(labels, labels))
        places = [float(x) for x in re.findall(r"translate\(([\d.]+) -5\)", svg)]
        assert (np.diff(places) > 14).all(), count  # letters are 9 high
        shown = [int(text) for text in re.findall(r'rotate\(-90\)">([^<]*)<', svg)]
        assert shown == list(range(0, count, shown[1] - shown[0]))


def test_maps_have_one_size_whatever_their_labels_are() -> None:
    numbers, words = [str(place) for place in range(30)], ["tokenisation", "a", "bed"] * 10
    assert Frame.of(numbers, numbers).box == Frame.of(words, words).box


def test_long_labels_say_that_they_are_cut() -> None:
    labels = ["tokenisation", "tokenised"]
    assert re.findall(">(token[^<]*)<", axes(labels, labels, Frame.of(labels, labels))) == [
        "tokenisa…", "tokenised", "tokenisa…", "tokenised",
    ]  # fmt: skip
