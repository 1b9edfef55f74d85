from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import pytest
from PIL import Image

from ipernity_provider.replacement.media import media_of, media_of_bytes, media_of_name

NAMES = {
    "photo": "boat.jpg BOAT.PNG a.b.jpeg boat.heic scan.tiff",
    "audio": "song.mp3 song.m4a BOOK.M4B song.mka song.flac song.opus song.wma",
    "video": "film.mp4 film.mov film.mkv film.avi film.wmv",
    "other": "paper.pdf table.xls letter.docx slides.odp notes.txt table.csv",
    None: "raw.nef noname .jpg jpg boat.jpg. boat.jpg.gz chart.svg chart.eps chart.ai layers.psd archive.zip data.json "
    "film.3gp film.3gpp film.3g2 film.rm song.ra either.ogg either.webm either.asf old.swf clip.ts",
}


@pytest.mark.parametrize(
    ("name", "media"), [(name, media) for media, names in NAMES.items() for name in names.split()]
)
def test_the_media_class_is_read_from_the_name_where_it_is_beyond_doubt(name: str, media: str | None) -> None:
    assert media_of_name(name) == media


def drawn(kind: str) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (64, 48), "#2f6f9f").save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF"])
def test_a_picture_is_known_by_its_first_bytes(kind: str) -> None:
    assert media_of_bytes(drawn(kind)) == "photo"


def mp4(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + brand + b"mp42" + bytes(500)


@pytest.mark.parametrize(
    ("head", "media"),
    [
        (mp4(b"heic"), "photo"),
        (mp4(b"qt  "), "video"),
        (b"RIFF\0\1\0\0AVI LIST" + bytes(500), "video"),
        (b"RIFF\0\1\0\0WAVEfmt " + bytes(500), "audio"),
        (b"ID3\4\0\0\0\0\0\x20" + bytes(500), "audio"),
        (mp4(b"M4A "), "audio"),
        (mp4(b"M4B "), "audio"),
        (b"FORM\0\0\1\0AIFFCOMM" + bytes(500), "audio"),
        (b"\0\0\1\xba\x44" + bytes(500), "video"),
        (b"fLaC\0\0\0\x22" + bytes(500), "audio"),
        (b"%PDF-1.7\n" + bytes(500), "other"),
    ],
)
def test_so_is_a_film_a_sound_or_a_document(head: bytes, media: str) -> None:
    assert media_of_bytes(head) == media


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"x",
        b"hello, this is text\n" * 20,
        bytes(500),
        b"OggS\0\2" + bytes(500),  # either
        b"OggS\0\2" + bytes(22) + b"OpusHead" + bytes(500),
        *map(mp4, (b"isom", b"mp41", b"mp42", b"iso2", b"iso5", b"avc1", b"dash", b"3gp4", b"3gp5", b"3g2a")),
        b"\x1aE\xdf\xa3\xa3\x42\x82\x88matroska" + bytes(500),
        b"\x1aE\xdf\xa3\x9f\x42\x82\x84webm" + bytes(500),
        b".RMF\0\0\0\x12" + bytes(500),
        b".ra\xfd\0\x04" + bytes(500),
        bytes.fromhex("3026B2758E66CF11A6D900AA0062CE6C") + bytes(500),  # ASF
        b"FLV\1\4\0\0\0\x09" + bytes(500),
        b"%!PS-Adobe-3.0 EPSF-3.0\n" * 20,
        b"8BPS\0\1" + bytes(500),
        b"AT&TFORM\0\0\1\0DJVU" + bytes(500),
        b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        b"PK\3\4\x14\0" + bytes(500),
        b"BM is how this text begins",  # two bytes are no proof of a bitmap
    ],
)
def test_what_can_be_anything_is_left_to_the_service(head: bytes) -> None:
    assert media_of_bytes(head) is None


def test_a_drawing_is_not_taken_for_the_pdf_that_its_bytes_are() -> None:
    assert media_of("chart.ai", b"%PDF-1.7\n") is None
    assert media_of("chart", b"%PDF-1.7\n") == "other"
    assert media_of("chart.jpg", b"%PDF-1.7\n") == "photo"


def test_its_tables_are_not_loaded_before_they_are_needed() -> None:
    program = "import ipernity_provider.replacement, sys; print('puremagic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
