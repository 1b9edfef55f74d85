"""Detect what a file is, by its content or else by its name, and make its thumbnails."""

from __future__ import annotations

import datetime as dt
import mimetypes
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from ipernity_provider.sandbox.documents import MediaClass, StoredFile, Thumbnail
from ipernity_provider.sandbox.pictures import draw_cover

Image.MAX_IMAGE_PIXELS = None  # big scans are allowed; THUMBNAIL_PIXELS bounds what is decoded

LABELS = ("75x", "100", "240", "250x", "500", "560", "640", "800")
"""The sizes that every visitor sees; ``x`` marks a square. Bigger ones depend on the owner."""

ALL_LABELS = (*LABELS, "1024", "1600", "2048")
"""All documented sizes."""

LARGEST = 800
THUMBNAIL_PIXELS = 200_000_000
_NOT_PHOTOS = {"EPS", "PDF", "MPEG", "WMF"}
_VIDEO_BRANDS = (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"MSNV", b"3gp")
_PHOTO_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"avif")


@dataclass(frozen=True)
class Probe:
    """What a file is; the size in pixels is 0 unless it is a picture that can be opened.

    :param created: when the photo was taken, by its EXIF data: local ``YYYY-MM-DD HH:MM:SS``.
    :param place: where, in degrees of latitude and longitude.
    :param seconds: how long a sound is, if it is of the form WAVE.
    """

    media: MediaClass
    w: int = 0
    h: int = 0
    created: str = ""
    place: tuple[float, float] | None = None
    seconds: int = 0


def probe(path: Path, filename: str) -> Probe:
    """Return a file's media class and size. Read its head only."""
    try:
        with Image.open(path) as image:
            if image.format not in _NOT_PHOTOS:
                exif = _exif(image)
                return Probe("photo", *image.size, _created(exif), _place(exif))
    except Exception:  # nosec B110  # noqa: BLE001, S110 - Pillow raises many errors for what is not a picture
        pass
    with path.open("rb") as file:
        head = file.read(16)
    media = _class_by_magic(head) or _class_by_name(filename)
    return Probe(media, seconds=_seconds(path) if media == "audio" else 0)


def _seconds(path: Path) -> int:
    """Return how long a sound is, at least 1; 0 when it is not of the form WAVE."""
    try:
        with wave.open(str(path), "rb") as sound:
            return max(1, round(sound.getnframes() / sound.getframerate()))
    except (wave.Error, EOFError, ZeroDivisionError, RuntimeError):
        return 0


def _exif(image: Image.Image) -> Image.Exif:
    """Return the picture's EXIF data; none if they cannot be read."""
    try:
        return image.getexif()
    except Exception:  # noqa: BLE001 - Pillow raises many errors for damaged data
        return Image.Exif()


def _created(exif: Image.Exif) -> str:
    """Return the time at which the photo was taken, or an empty text."""
    try:
        text = exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal]
        return str(dt.datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S"))
    except Exception:  # noqa: BLE001 - it is missing, is no time, or Pillow cannot read the data
        return ""


def _place(exif: Image.Exif) -> tuple[float, float] | None:
    """Return the degrees of latitude and longitude, or None when they are missing or wrong."""
    try:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef] == "S")
        lng = _degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef] == "W")
    except Exception:  # noqa: BLE001 - as above
        return None
    return (lat, lng) if abs(lat) <= 90 and abs(lng) <= 180 else None


def _degrees(parts: Sequence[float], negative: bool) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = round(degrees + minutes / 60 + seconds / 3600, 6)
    return -value if negative else value


def _class_by_magic(head: bytes) -> MediaClass | None:
    if head.startswith(b"%PDF"):
        return "other"
    if head[4:8] == b"ftyp":
        if head[8:12] == b"M4A ":
            return "audio"
        if head.startswith(_PHOTO_BRANDS, 8):
            return "photo"
        return "video" if head.startswith(_VIDEO_BRANDS, 8) else None
    if head.startswith(b"RIFF"):
        return {b"WAVE": "audio", b"AVI ": "video"}.get(head[8:12])  # type: ignore[return-value]
    if head.startswith((b"ID3", b"\xff\xfb", b"OggS", b"fLaC")):
        return "audio"
    return "video" if head.startswith(b"\x1a\x45\xdf\xa3") else None


def _class_by_name(filename: str) -> MediaClass:
    kind = (mimetypes.guess_type(filename)[0] or "").partition("/")[0]
    if kind == "image":
        return "photo"
    if kind == "audio":
        return "audio"
    return "video" if kind == "video" else "other"


def extension(filename: str) -> str:
    """Return the extension for addresses; ``bin`` when the name has none that can be used."""
    ext = Path(filename).suffix.removeprefix(".").lower()
    return ext if ext.isascii() and ext.isalnum() and len(ext) <= 5 else "bin"


def with_thumbnails(file: StoredFile, folder: Path, orientation: int | None = None) -> StoredFile:
    """Return the file with its thumbnails, written into ``folder``.

    A photo that cannot be decoded gets none, nor does an office document. Films, sounds and PDFs
    get a drawn picture that stands for them.

    :param orientation: of a photo, as EXIF counts; None for what the file says.
    """
    if file.media == "photo":
        picture = _decoded(file, orientation)
        longest = max(file.w, file.h)
    elif file.media in ("audio", "video") or file.ext == "pdf":
        picture = draw_cover(file.media, file.md5)
        longest = LARGEST
    else:
        return file
    if picture is None:
        return file
    return replace(file, thumbnails=make_thumbnails(picture, longest, folder))


def _decoded(file: StoredFile, orientation: int | None) -> Image.Image | None:
    """Return a photo, upright; None when it is damaged or too big."""
    if not 0 < file.w * file.h <= THUMBNAIL_PIXELS:
        return None
    try:
        with Image.open(file.path) as image:
            image.draft("RGB", (LARGEST, LARGEST))  # a JPEG decoder shrinks while it reads: faster
            if orientation:
                image.getexif()[ExifTags.Base.Orientation] = orientation
            return ImageOps.exif_transpose(image).convert("RGB")
    except Exception:  # noqa: BLE001 - Pillow raises many errors for a damaged picture
        return None


def make_thumbnails(picture: Image.Image, longest: int, folder: Path) -> tuple[Thumbnail, ...]:
    """Write a picture into ``folder`` in all sizes up to its own.

    Nothing is enlarged, but the two smallest always exist.

    :param longest: the longer edge of the original, in pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    always = ("75x", "100")
    fitting = [one for one in LABELS if one in always or int(one.rstrip("x")) <= longest]
    picture.thumbnail((LARGEST, LARGEST))
    return tuple(_thumbnail(picture, label, folder) for label in fitting)


def _thumbnail(picture: Image.Image, label: str, folder: Path) -> Thumbnail:
    edge = int(label.rstrip("x"))
    small = ImageOps.fit(picture, (edge, edge)) if label.endswith("x") else picture.copy()
    small.thumbnail((edge, edge))
    path = folder / f"{label}.jpg"
    small.save(path, "JPEG", quality=82)
    return Thumbnail(label, *small.size, path)
