"""Where counters, timers and gauges go: nowhere by default.

On the Airflow side :mod:`ipernity_provider.hooks.metrics` puts Airflow's own statistics here. The
names begin with ``ipernity.`` and have no tags, because plain StatsD has none.
"""

from __future__ import annotations

from typing import Any


class Sink:
    """Takes what is measured, and drops it; Airflow's ``Stats`` has the same methods."""

    def incr(self, stat: str, count: int = 1) -> Any:
        """Add to a counter."""

    def gauge(self, stat: str, value: float) -> Any:
        """Set a gauge."""

    def timing(self, stat: str, dt: float) -> Any:
        """Take a duration in milliseconds."""


#: One for the process, like Airflow's own. Read it anew each time: ``metrics.sink.incr(...)``.
sink = Sink()
