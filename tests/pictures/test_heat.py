from __future__ import annotations

import numpy as np

from qubo_attn.pictures.heat import selected_map, shrunk, weights_map
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
