from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commandline import Command
from tests.conftest import Connect


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], connect: Connect) -> Command:
    connect(resend_grace=1.0)
    return Command(capsys)
