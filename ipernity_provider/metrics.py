"""Counters, timers and gauges, for whoever listens; nobody does by default.

On the Airflow side :mod:`ipernity_provider.hooks.metrics` sends them to Airflow's own statistics.
Names have no tags, because plain StatsD has none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

_PREFIX = "ipernity"


class Sink(Protocol):
    """Where metrics go; Airflow's ``Stats`` is one."""

    def incr(self, stat: str, count: int = 1) -> Any: ...

    def gauge(self, stat: str, value: float) -> Any: ...

    def timing(self, stat: str, dt: float) -> Any:
        """Take a duration in milliseconds."""


_sink: Sink | None = None


def send_to(sink: Sink | None) -> None:
    """Send what this process measures to a sink; None ends it."""
    global _sink  # noqa: PLW0603 - one for the process, like Airflow's own
    _sink = sink


def is_sent() -> bool:
    """Return whether somebody listens."""
    return _sink is not None


def count(name: str, number: int = 1) -> None:
    """Add to a counter."""
    if _sink:
        _sink.incr(f"{_PREFIX}.{name}", number)


def gauge(name: str, value: float) -> None:
    """Set a gauge."""
    if _sink:
        _sink.gauge(f"{_PREFIX}.{name}", value)


def duration(name: str, seconds: float) -> None:
    """Record how long something took."""
    if _sink:
        _sink.timing(f"{_PREFIX}.{name}", seconds * 1000)


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Record how long the block takes, however it ends."""
    began = time.monotonic()
    try:
        yield
    finally:
        duration(name, time.monotonic() - began)
