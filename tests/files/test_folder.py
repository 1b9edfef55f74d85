from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ipernity_provider.files.errors import FileError
from ipernity_provider.files.folder import (
    capture_time_of,
    checksum_of,
    parse_exif_time,
    scan_folder,
)


def photo(path: Path, taken: str | None = None) -> Path:
    """Draw a photo, with the time when it was taken in its EXIF data."""
    exif = Image.Exif()
    exif[0x0110] = "A camera"  # without a tag at the top Pillow writes none for some kinds
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    Image.new("RGB", (32, 20), "#2f6f9f").save(path, exif=exif)
    return path


def test_only_files_that_can_be_sent_are_found(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for name in ("z.jpg", "a.mp4", "b/c/raw.dng", ".DS_Store", ".hidden/x.jpg"):
        (tmp_path / name).write_bytes(b"bytes")
    (tmp_path / "empty.jpg").touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("z.jpg")
    (tmp_path / "nowhere.jpg").symlink_to("missing.jpg")
    (tmp_path / "around").symlink_to(tmp_path)
    found = list(scan_folder(tmp_path))
    assert [(str(file.path.relative_to(tmp_path)), file.media, file.size) for file in found] == [
        ("a.mp4", "video", 5),
        ("link.jpg", "photo", 5),
        ("z.jpg", "photo", 5),
        ("b/c/raw.dng", None, 5),
    ]


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"bytes")
    monkeypatch.chdir(tmp_path)
    assert [file.path for file in scan_folder(Path())] == [tmp_path / "a.jpg"]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_not_a_folder_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=f"{name} is not a folder"):
        list(scan_folder(tmp_path / name))


def test_the_checksum_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"bytes" * 500_000)
    assert checksum_of(tmp_path / "a.jpg") == hashlib.md5(b"bytes" * 500_000).hexdigest()
    with pytest.raises(FileError, match="does not exist"):
        checksum_of(tmp_path / "gone.jpg")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_a_photo_says_when_it_was_taken(tmp_path: Path, ending: str) -> None:
    path = photo(tmp_path / f"a.{ending}", "2024:05:01 12:30:59")
    assert capture_time_of(path) == "2024-05-01 12:30:59"


def test_what_says_no_time_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("This is not a photo.")
    assert capture_time_of(photo(tmp_path / "plain.jpg")) is None
    assert capture_time_of(tmp_path / "text.jpg") is None
    assert capture_time_of(tmp_path / "missing.jpg") is None


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2024:05:01 12:30:59", "2024-05-01 12:30:59"),
        ("2024:05:01 12:30:59\0", "2024-05-01 12:30:59"),
        (b"2024:05:01 12:30:59", "2024-05-01 12:30:59"),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2024-05-01", None),
        (b"\xff", None),
        (2024, None),
        (None, None),
    ],
)
def test_exif_times(value: Any, time: str | None) -> None:
    assert parse_exif_time(value) == time
