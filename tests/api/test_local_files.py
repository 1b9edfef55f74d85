"""Only regular files are opened, and nothing blocks."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.local_files import NotRegularFile, open_regular, resolve_links
from ipernity_provider.api.storage import fault_of, open_to_read

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
def test_what_is_not_a_regular_file_is_not_opened(make: Any, what: str, linked: bool, tmp_path: Path) -> None:
    path = make(tmp_path)
    if linked:
        (tmp_path / "link.jpg").symlink_to(path)
        path = tmp_path / "link.jpg"
    with pytest.raises(NotRegularFile) as caught:
        open_to_read(path)
    fault = fault_of(caught.value)
    assert (fault.words, fault.permanent) == (f"is {what}; only a regular file can be read", True)


def test_what_was_opened_counts_and_not_what_the_name_led_to_before(tmp_path: Path) -> None:
    class Swapped(type(tmp_path)):  # type: ignore[misc]
        def stat(self, **kwargs: Any) -> Any:
            status = super().stat(**kwargs)
            self.unlink()
            os.mkfifo(self)
            return status

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
        with open_to_read(path) as stream:
            assert stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            assert stream.read() == b"boat"


@pytest.mark.parametrize("below", ["", "boat.jpg"])
def test_links_that_lead_in_a_circle(tmp_path: Path, below: str) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    for do in (open_to_read, resolve_links):
        with pytest.raises(OSError, match="symbolic links") as caught:
            do(tmp_path / "one" / below)
        fault = fault_of(caught.value)
        assert caught.value.errno == errno.ELOOP
        assert (fault.words, fault.permanent) == ("is a link that leads in a circle", True)


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "x/" * 3000])
def test_names_that_are_too_long(tmp_path: Path, name: str) -> None:
    for do in (open_to_read, resolve_links):
        with pytest.raises(OSError, match="name too long") as caught:
            do(tmp_path / name)
        fault = fault_of(caught.value)
        assert fault.words.startswith("has too long a name: 255 bytes")
        assert fault.permanent


def test_links_are_resolved_whether_the_file_is_there_or_not(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    assert resolve_links(tmp_path / "link" / ".." / "link" / "boat.jpg") == tmp_path / "folder" / "boat.jpg"
