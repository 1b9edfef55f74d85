"""Small files to send, drawn here: no two of them are equal."""

from __future__ import annotations

import hashlib
import io
import math
import struct
import wave
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

#: A user's word for a media class -> the service's.
MEDIA = {"photo": "photo", "audio": "audio", "video": "video", "document": "other"}

_WIDTH, _HEIGHT = 480, 320
_RATE = 8000
#: Two seconds of film, made by scripts/make_film.py for the sandbox; the package has it anyway.
_FILM = Path(__file__).parent.parent / "sandbox" / "film.mp4"


@dataclass(frozen=True)
class Sample:
    """A file in memory, which can be sent as any other file.

    :param md5: checksum of its bytes, lower-case hex.
    """

    name: str
    data: bytes
    md5: str

    def open(self, _: Literal["rb"], /) -> io.BytesIO:
        return io.BytesIO(self.data)

    def stat(self) -> Any:
        return SimpleNamespace(st_size=len(self.data))


def make_sample(media: str, mark: str, version: int) -> Sample:
    """Return a file of a media class.

    :param media: the service's word for it.
    :param mark: hex digits, in the file and in its name.
    :param version: another one looks or sounds different.
    """
    extension, draw = _KINDS[media]
    data = draw(f"ipernity-probe-{mark}-{version}", version)
    name = f"ipernity-probe-{mark}-{version}.{extension}"
    return Sample(name, data, hashlib.md5(data, usedforsecurity=False).hexdigest())


def _picture(mark: str, version: int) -> bytes:
    """Return a PNG: a sun above the sea, which is higher in each version."""
    sun_x, sun_y, radius = 120 * version % _WIDTH, 220 - 60 * version % 200, 40
    rows = []
    for y in range(_HEIGHT):
        sea = y >= 220
        shade = y * 255 // _HEIGHT
        colour = bytes((20, 90, 330 - shade)) if sea else bytes((255, 255 - shade, 120))
        row = bytearray(colour * _WIDTH)
        if not sea and abs(y - sun_y) < radius:
            half = int(math.sqrt(radius**2 - (y - sun_y) ** 2))
            left, right = max(0, sun_x - half), min(_WIDTH, sun_x + half)
            row[3 * left : 3 * right] = bytes((255, 90, 30)) * (right - left)
        rows.append(b"\0" + bytes(row))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)),
        (b"tEXt", b"Comment\0" + mark.encode()),
        (b"IDAT", zlib.compress(b"".join(rows), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _sound(mark: str, version: int) -> bytes:
    """Return a WAV: one second of a tone, then a click that is made of the mark."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        tone = (
            int(8000 * math.sin(math.tau * 220 * (version + 1) * n / _RATE)) for n in range(_RATE)
        )
        sound.writeframes(b"".join(struct.pack("<h", value) for value in tone))
        sound.writeframes(hashlib.md5(mark.encode(), usedforsecurity=False).digest())
    return buffer.getvalue()


def _film(mark: str, version: int) -> bytes:  # noqa: ARG001 - it shows the same in each version
    """Return an MP4: the film, and the mark in a box that players skip."""
    text = mark.encode()
    return _FILM.read_bytes() + struct.pack(">I", 8 + len(text)) + b"free" + text


def _page(mark: str, version: int) -> bytes:
    """Return a PDF of one page with the mark on it."""
    text = f"BT /F1 14 Tf 40 {100 + 40 * version} Td ({mark}) Tj ET".encode()
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 420 300]/Contents 4 0 R/Resources 6 0 R>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Font<</F1 5 0 R>>>>",
    )
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj%s endobj\n" % (number, content)
    start, count = len(body), len(objects) + 1
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    body += b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
    return body + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, start)


_KINDS: Mapping[str, tuple[str, Callable[[str, int], bytes]]] = {
    "photo": ("png", _picture),
    "audio": ("wav", _sound),
    "video": ("mp4", _film),
    "other": ("pdf", _page),
}
