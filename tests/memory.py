"""How much memory this process took at most.

Not by ``ru_maxrss``, with which a new process begins where the one that started it was: a child of
pytest could grow by hundreds of MiB unseen.
"""

from __future__ import annotations

import re
from pathlib import Path

_PROCESS = Path("/proc/self")


def begin_measuring() -> int:
    """Forget the peak so far; return the KiB that are taken now."""
    (_PROCESS / "clear_refs").write_text("5")
    return peak_kib()


def peak_kib() -> int:
    found = re.search(r"VmHWM:\s*(\d+) kB", (_PROCESS / "status").read_text())
    assert found
    return int(found[1])
