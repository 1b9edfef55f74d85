"""How far an upload has come, as lines of a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ipernity_provider.text import printable

log = logging.getLogger(__name__)

#: Files below this size, in bytes, are sent without a line.
WORTH_A_LINE = 8 << 20
_MIB = 1 << 20


class ProgressLog:
    """Writes a line about every 10 s or 10 % of a file.

    An instance is the ``progress`` of a replacement.

    :param name: what is sent, where several files are at the same time.
    :param every_seconds: time after which a line is due.
    :param every_share: share of the file after which one is due.
    :param at_least_seconds: between two lines, whatever is due.
    """

    def __init__(
        self,
        name: str = "",
        every_seconds: float = 10.0,
        every_share: float = 0.1,
        at_least_seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._of = f" of {printable(name)}" if name else ""
        self._every_seconds = every_seconds
        self._every_share = every_share
        self._at_least_seconds = at_least_seconds
        self._clock = clock
        self._sent = 0
        self._began_at = self._logged_at = 0.0
        self._began_with = self._logged = 0

    def __call__(self, sent: int, size: int) -> None:
        """Note how many bytes of the file the connection has taken so far, and the file's size."""
        now = self._clock()
        if (
            sent <= self._sent or not self._sent
        ):  # the first block, or the first one of another upload
            self._began_at = self._logged_at = now
            self._began_with = self._logged = sent
        self._sent = sent
        if size >= WORTH_A_LINE and self._due(now, sent, size):
            self._logged_at, self._logged = now, sent
            log.info("%s", self._line(now, sent, size))

    def _due(self, now: float, sent: int, size: int) -> bool:
        passed = now - self._logged_at
        if sent >= size or passed < self._at_least_seconds:
            return False  # the end has a line of its own, with the service's answer
        return passed >= self._every_seconds or sent - self._logged >= size * self._every_share

    def _line(self, now: float, sent: int, size: int) -> str:
        # The first block is no measure: it is handed over before the clock starts.
        rate = (sent - self._began_with) / (now - self._began_at)
        left = (size - sent) / rate  # the rate is above 0: a line is due after further blocks only
        return (
            f"Sent{self._of} {sent / _MIB:,.0f} of {size / _MIB:,.0f} MiB ({100 * sent // size} %),"
            f" {rate / _MIB:,.1f} MiB/s, about {left:,.0f} s left."
        )
