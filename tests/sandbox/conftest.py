from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipernity_provider.sandbox import running_sandbox
from tests.sandbox.caller import Caller


@pytest.fixture(scope="session")
def running() -> Iterator[Caller]:
    """Run one sandbox for the whole session; it processes uploads quickly."""
    with running_sandbox(settings={"processing_seconds": 0.05}) as root:
        yield Caller(root)


@pytest.fixture
def sandbox(running: Caller) -> Caller:
    """Return the sandbox as it starts: seeds, start-up settings, nothing counted."""
    running.reset()
    return running
