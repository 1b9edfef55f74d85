"""What a process has used: CPU seconds and memory."""

from __future__ import annotations

import gc
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Usage:
    """CPU seconds (user and system), and resident memory in MiB: now, and its peak.

    The peak is the highest value since the last reset.
    """

    cpu: float
    resident: float
    peak: float

    @classmethod
    def now(cls) -> Self:
        used = resource.getrusage(resource.RUSAGE_SELF)
        status = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
        )
        resident, peak = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return cls(used.ru_utime + used.ru_stime, resident, peak)

    @classmethod
    def baseline(cls) -> Self:
        """Return the usage from which to count.

        Garbage is collected, and the peak is reset to what is resident now.
        """
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        return cls.now()


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Right-aligned columns, the first one left-aligned."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    lines = []
    for row in [columns, *rows]:
        first, *others = (
            cell.ljust(width) if not n else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *others]))
    return "\n".join(lines)
