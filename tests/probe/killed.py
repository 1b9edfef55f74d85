"""A probe in a process of its own, to be killed: ``python -m tests.probe.killed URL RECORD``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conftest import Service
from tests.probe.support import probe

if __name__ == "__main__":
    print("ready", flush=True)
    probe(Service(sys.argv[1]), Path(sys.argv[2]))
