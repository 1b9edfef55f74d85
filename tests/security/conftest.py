from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.hostile import NEW, Canary, HostileService


@pytest.fixture
def hostile() -> Iterator[HostileService]:
    with HostileService().running() as server:
        yield server


@pytest.fixture
def canary() -> Iterator[Canary]:
    with Canary.listening() as canary:
        yield canary


@pytest.fixture
def new_file(tmp_path: Path) -> Path:
    """The file that is sent, in a folder of its own beside that of the backups."""
    file = tmp_path / "sent" / "boat.jpg"
    file.parent.mkdir()
    file.write_bytes(NEW)
    return file
