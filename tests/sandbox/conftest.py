from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipernity_provider.sandbox import running_sandbox
from tests.sandbox.caller import Caller


@pytest.fixture(scope="session")
def running() -> Iterator[Caller]:
    """One sandbox for the whole session, quick in processing."""
    with running_sandbox(settings={"processing_seconds": 0.05}) as root:
        yield Caller(root)


@pytest.fixture
def sandbox(running: Caller) -> Caller:
    """The sandbox as it starts: seeds, start-up settings, nothing counted."""
    assert running.http.post(f"{running.root}/_sandbox/reset").status_code == 200
    return running
