"""Where a file may lie, and how it is opened: only a regular one, below its root."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.files.errors import FileError, NotRegularFile, classify_error
from ipernity_provider.files.paths import (
    READ_BLOCK_BYTES,
    ReadableFile,
    local_path,
    open_below,
    open_regular,
    require_inside,
    resolve_links,
)
from ipernity_provider.hooks.files import as_path

# A pipe that is opened in the usual way blocks for ever.
pytestmark = pytest.mark.timeout(20)


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.jpg")
    return folder / "pipe.jpg"


def bound_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket.jpg"))
    return folder / "socket.jpg"


SPECIAL = [
    pytest.param(pipe, "a named pipe (FIFO)", id="pipe"),
    pytest.param(bound_socket, "a socket", id="socket"),
    pytest.param(lambda _: Path("/dev/zero"), "a device", id="endless"),
    pytest.param(lambda _: Path("/dev/null"), "a device", id="empty"),
]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize(("make", "what"), SPECIAL)
def test_what_is_not_a_regular_file_is_not_opened(
    make: Any, what: str, linked: bool, tmp_path: Path
) -> None:
    path = make(tmp_path)
    if linked:
        (tmp_path / "link.jpg").symlink_to(path)
        path = tmp_path / "link.jpg"
    with pytest.raises(NotRegularFile) as caught:
        open_regular(path)
    words = f"is {what}; only a regular file can be read"
    assert classify_error(caught.value) == (words, True)
    with pytest.raises(FileError, match=re.escape(f"{path} {words}.")):
        ReadableFile(path).open()


def test_what_was_opened_counts_and_not_what_the_name_led_to_before(tmp_path: Path) -> None:
    class Swapped(type(tmp_path)):  # type: ignore[misc]
        named = 0

        def __fspath__(self) -> str:
            """Put a pipe in the file's place after the system was first asked about it."""
            Swapped.named += 1
            if Swapped.named == 2:
                Path(str(self)).unlink()
                os.mkfifo(str(self))
            return str(self)

    (tmp_path / "boat.jpg").write_bytes(b"boat")
    opened_before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(NotRegularFile, match="a named pipe"):
        open_regular(Swapped(tmp_path / "boat.jpg"))
    assert len(list(Path("/proc/self/fd").iterdir())) == opened_before


def test_a_folder_is_one(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


def test_a_regular_file_is_read_also_through_links(tmp_path: Path) -> None:
    (tmp_path / "boat.jpg").write_bytes(b"boat")
    (tmp_path / "link").symlink_to("boat.jpg")
    for path in (tmp_path / "boat.jpg", tmp_path / "link"):
        with ReadableFile(path).open() as stream:
            assert stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            assert stream.read() == b"boat"


@pytest.mark.parametrize("below", ["", "boat.jpg"])
def test_links_that_lead_in_a_circle(tmp_path: Path, below: str) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    for do in (open_regular, resolve_links):
        with pytest.raises(OSError, match="symbolic links") as caught:
            do(tmp_path / "one" / below)
        assert caught.value.errno == errno.ELOOP
        assert classify_error(caught.value) == ("is a link that leads in a circle", True)


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "x/" * 3000])
def test_names_that_are_too_long(tmp_path: Path, name: str) -> None:
    for do in (open_regular, resolve_links):
        with pytest.raises(OSError, match="name too long") as caught:
            do(tmp_path / name)
        words, permanent = classify_error(caught.value)
        assert words.startswith("has too long a name: 255 bytes")
        assert permanent


def test_links_are_resolved_whether_the_file_is_there_or_not(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    assert (
        resolve_links(tmp_path / "link" / ".." / "link" / "boat.jpg")
        == tmp_path / "folder" / "boat.jpg"
    )


# -- upload roots ----------------------------------------------------------------------------------


def refusal(path: Any, *roots: str) -> str:
    with pytest.raises(FileError) as caught:
        require_inside(path, roots)
    assert caught.value.permanent
    return str(caught.value)


def outside(path: object, *roots: object) -> str:
    return (
        f"{path} lies outside the folders that uploads may come from "
        f"({', '.join(map(str, roots))})."
    )


def test_without_roots_a_file_may_lie_anywhere(tmp_path: Path) -> None:
    assert require_inside(tmp_path / "boat.jpg", []) == ReadableFile(tmp_path / "boat.jpg")


def test_the_root_that_holds_a_file_goes_with_it(tmp_path: Path) -> None:
    root = tmp_path / "allowed"
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    file = require_inside(tmp_path / "link" / "boat.jpg", ["/nowhere", str(root), str(tmp_path)])
    assert file == ReadableFile(root / "boat.jpg", root)


def test_neither_dots_nor_links_nor_longer_names_lead_out(tmp_path: Path, picture: Path) -> None:
    root = tmp_path / "allowed"
    root.mkdir()
    (root / "boat.jpg").symlink_to(picture)
    assert refusal(root / ".." / picture.name, str(root)) == outside(picture, root)
    assert refusal(root / "boat.jpg", str(root)) == outside(picture, root)
    assert refusal(tmp_path / "allowed-not" / "boat.jpg", str(root)) == outside(
        tmp_path / "allowed-not" / "boat.jpg", root
    )


@pytest.mark.parametrize(
    "form", ["file://{}", "file://localhost{}", "FILE:{}", "local://{}/", "{}/"]
)
def test_a_root_is_read_as_a_file_is(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "my pics"
    folder.mkdir()
    root = form.format(folder if form.startswith("{") else str(folder).replace(" ", "%20"))
    assert require_inside(folder / "boat.jpg", [root]).root == folder


@pytest.mark.parametrize(
    "root",
    [
        "file://elsewhere/", "file://", "~nobody-of-this-name", "file:///%00", "s3://media",
        "/%74mp", "/circle", "/long",
    ],
)  # fmt: skip
def test_a_root_that_names_no_folder_holds_nothing(picture: Path, root: str) -> None:
    (picture.parent / "circle").symlink_to("circle")
    places = {"/circle": str(picture.parent / "circle"), "/long": str(picture.parent / ("x" * 256))}
    root = places.get(root, root)
    assert refusal(picture, root) == outside(picture, root)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://other/boat.jpg",
        "s3://media-private/boat.jpg",
        "s3://media/2025/boat.jpg",
        "s3://media/2026/../2025/boat.jpg",
        "s3://media/2026/%2e%2e/2025/boat.jpg",
        "s3://media/2026//boat.jpg",
        "s3a://media/2026/boat.jpg",
        "/media/2026/boat.jpg",
    ],
)
def test_another_bucket_or_folder_is_outside(uri: str) -> None:
    assert "lies outside the folders" in refusal(as_path(uri), "s3://media/2026/")


def test_an_object_below_its_root_is_inside() -> None:
    path = as_path("s3://media/2026/05/boat.jpg")
    assert require_inside(path, ["/data", "s3://media/2026/"]) == ReadableFile(path)


# -- opened below their root -----------------------------------------------------------------------


@pytest.mark.parametrize("swapped", ["file", "folder", "file by a folder", "file by a pipe"])
def test_what_is_swapped_after_the_check_is_not_opened(tmp_path: Path, swapped: str) -> None:
    """Who may write in a folder could make it lead to a secret a moment later."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "boat.jpg").write_bytes(b"secret")
    folder = tmp_path / "allowed" / "2026"
    folder.mkdir(parents=True)
    (folder / "boat.jpg").write_bytes(b"boat")
    file = require_inside(folder / "boat.jpg", [str(tmp_path / "allowed")])
    with file.open() as stream:
        assert stream.read() == b"boat"
    (folder / "boat.jpg").unlink()
    if swapped == "folder":
        folder.rmdir()
        folder.symlink_to(secret)
    elif swapped == "file":
        (folder / "boat.jpg").symlink_to(secret / "boat.jpg")
    elif swapped == "file by a folder":
        (folder / "boat.jpg").mkdir()
    else:
        os.mkfifo(folder / "boat.jpg")
    opened_before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileError):
        file.open()
    assert len(list(Path("/proc/self/fd").iterdir())) == opened_before


def test_a_file_in_its_very_root_is_opened(tmp_path: Path) -> None:
    (tmp_path / "boat.jpg").write_bytes(b"boat")
    with open_below(tmp_path, tmp_path / "boat.jpg") as stream:
        assert stream.read() == b"boat"


def test_a_stored_file_is_opened_in_small_blocks() -> None:
    asked: list[int] = []

    class Stored:
        fs = None

        def open(self, _mode: str, block_size: int) -> str:
            asked.append(block_size)
            return "opened"

    assert ReadableFile(Stored()).open() == "opened"
    assert asked == [READ_BLOCK_BYTES] == [8 << 20]


# -- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/data/boat.jpg", "/data/boat.jpg"),
        ("file:///data/a#b?c.jpg", "/data/a#b?c.jpg"),
        ("FILE:///data/boat.jpg", "/data/boat.jpg"),
        ("local:///data/boat.jpg", "/data/boat.jpg"),
        ("file://localhost/data/a%20boat.jpg", "/data/a boat.jpg"),
        ("s3://media/boat.jpg", None),
    ],
)
def test_an_address_names_exactly_one_local_file_or_none(text: str, path: str | None) -> None:
    assert local_path(text) == (Path(path) if path else None)


@pytest.mark.parametrize("text", ["file://data/boat.jpg", "file://"])
def test_an_address_with_a_host_or_without_a_path_is_not_one_of_a_file(text: str) -> None:
    with pytest.raises(ValueError, match="without a host"):
        local_path(text)
