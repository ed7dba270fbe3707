"""Looks of heads on the chip, and the picture of its own."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.report.chip import MARKS, head_look
from qubo_attn.report.drawing import write_svg
from tests.support.colours import SIGHTS, contrast, distance


def test_twenty_four_heads_look_different() -> None:
    assert len({head_look(head) for head in range(24)}) == 24
    assert head_look(24) == head_look(0)


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_are_apart_for_every_reader(sight: str) -> None:
    """Between 12 heads either the mark differs, or the colour, by far."""
    for one, other in combinations(range(12), 2):
        (colour, mark), (second, beside) = head_look(one), head_look(other)
        assert mark != beside or distance(colour, second, sight) > 35, (one, other)


def test_colours_show_on_light_and_dark_pages() -> None:
    for head in range(12):
        for page in ("#ffffff", "#14171b"):
            assert contrast(head_look(head)[0], page) > 2.2, (head, page)


@pytest.fixture(scope="module")
def placed(cache: qa.EmbeddingCache) -> qa.CompiledAttention:
    scores = np.random.default_rng(0).normal(size=(20, 2, 6))
    return qa.compile(scores, select=qa.ExactlyK(2), slots=4, target="zephyr:4", cache=cache)


def test_a_picture_of_its_own_shows_every_head(
    placed: qa.CompiledAttention, tmp_path: Path
) -> None:
    file = tmp_path / "chip.svg"
    placed.draw(0, file)
    root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == [root.get("aria-label"), *(f"head {head}" for head in range(20)), "idle"]
    holes = len(re.findall('class="hole"', file.read_text(encoding="utf-8")))
    marked = sum(head_look(head)[1] in (MARKS[1], MARKS[3]) for head in range(20))
    assert holes == 2 * marked  # on the chip and in the legend
    write_svg(placed, 0, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == file.read_bytes()
    with pytest.raises(qa.InputError, match="submission"):
        write_svg(placed, 9, file)
    with pytest.raises(qa.InputError, match="no chip to draw"):
        write_svg(qa.compile(np.zeros((1, 1, 9)), target=None), 0, file)
