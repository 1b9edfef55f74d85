"""The files of a local folder, with what tells which photo each of them is."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ipernity_provider.files.checksums import MediaClass, media_of_name
from ipernity_provider.files.errors import FileError, file_error
from ipernity_provider.files.paths import open_regular
from ipernity_provider.text import display

_EXIF, _DATE_TIME_ORIGINAL = 0x8769, 0x9003
_EXIF_TIME = re.compile(
    r"(?!0000)([0-9]{4}):([0-9]{2}):([0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})\s*", re.ASCII
)


@dataclass(frozen=True)
class LocalFile:
    """A file of a folder.

    :param path: absolute.
    :param size: in bytes.
    :param media: its class on the service, by the ending of its name; None where that does not say.
    :param md5: checksum of its bytes, lower-case hex; None where it was not read.
    :param captured: when it was taken, ``YYYY-MM-DD HH:MM:SS`` by the camera's clock; None where it
        does not say, or was not asked.
    """

    path: Path
    size: int
    media: MediaClass | None = None
    md5: str | None = None
    captured: str | None = None

    @property
    def name(self) -> str:
        return self.path.name


def scan_folder(folder: Path) -> Iterator[LocalFile]:
    """Yield the regular files in and below a folder, in the order of their names.

    Hidden files and folders and empty files are left out; links to folders are not followed.

    :raises FileError: it is not a folder, or cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise file_error(Path(error.filename or folder), error) from None

    if not folder.is_dir():
        raise FileError(f"{display(folder)} is not a folder.", permanent=True)
    for place, folders, names in os.walk(folder.absolute(), onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(place, name)
            if path.is_file() and (size := path.stat().st_size):
                yield LocalFile(path, size, media_of_name(name))


def checksum_of(path: Path) -> str:
    """Return the MD5 checksum of a file, lower-case hex.

    :raises FileError: it cannot be read.
    """
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with open_regular(path) as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except Exception as error:  # noqa: BLE001
        raise file_error(path, error) from None
    return digest.hexdigest()


def can_read_capture_times() -> bool:
    """Return whether Pillow is installed, which reads them."""
    return find_spec("PIL") is not None


def capture_time_of(path: Path) -> str | None:
    """Return when a photo was taken, by its EXIF data; None where it does not say.

    Only the head of the file is read.
    """
    from PIL import Image

    try:
        with open_regular(path) as stream, Image.open(stream) as image:
            return parse_exif_time(image.getexif().get_ifd(_EXIF).get(_DATE_TIME_ORIGINAL))
    except Exception:  # noqa: BLE001 - Pillow raises what it likes for what is not a picture
        return None


def parse_exif_time(value: Any) -> str | None:
    """Return ``YYYY-MM-DD HH:MM:SS`` for EXIF's ``YYYY:MM:DD HH:MM:SS``; None for anything else."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    found = _EXIF_TIME.fullmatch(text.strip("\0 ")) if isinstance(text, str) else None
    return found and f"{found[1]}-{found[2]}-{found[3]} {found[4]}"
