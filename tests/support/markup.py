"""A strict reader of HTML, checks of whole pages, and a reader of pictures in them."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Reader(HTMLParser):
    """Reads a page strictly: every element that opens must close, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(str(value))
            if name == "id":
                self.ids.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.remove(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check(page: str) -> Reader:
    """Check what holds for every page, and return what it says."""
    read = Reader(page)
    assert len(read.ids) == len(set(read.ids))
    for link in read.links:
        assert link.startswith("data:") or link.removeprefix("#") in read.ids
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page
    assert "nan" not in re.sub(r"data:[^\"]*", "", page).lower().split()
    return read


def decoded(uri: str) -> np.ndarray:
    """Read back a PNG of eight bits a channel, without filters."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, body, size = 8, b"", (0, 0)
    while place < len(data):
        length = struct.unpack(">I", data[place : place + 4])[0]
        name, part = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (crc,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert crc == zlib.crc32(name + part)
        if name == b"IHDR":
            size = struct.unpack(">II", part[:8])
        body += part if name == b"IDAT" else b""
        place += 12 + length
    lines = np.frombuffer(zlib.decompress(body), np.uint8).reshape(size[1], 1 + 4 * size[0])
    assert (lines[:, 0] == 0).all()
    return lines[:, 1:].reshape(size[1], size[0], 4)
