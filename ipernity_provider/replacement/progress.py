"""How far an upload has come, as lines of a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ipernity_provider.text import printable

log = logging.getLogger(__name__)

#: Files below this size, in bytes, are sent without a line.
WORTH_A_LINE = 8 << 20
_MIB = 1 << 20
_EVERY_SECONDS = 10.0
_EVERY_SHARE = 0.1
_AT_LEAST_SECONDS = 2.0


@dataclass
class ProgressLog:
    """Writes a line about every 10 s or 10 % of a file, at most every 2 s.

    An instance is the ``progress`` of a replacement.

    :param name: what is sent, where several files are at the same time.
    """

    name: str = ""
    clock: Callable[[], float] = time.monotonic
    _sent: int = field(default=0, init=False)
    #: Time and bytes at the first block, and at the last line.
    _began: tuple[float, int] = field(default=(0.0, 0), init=False)
    _logged: tuple[float, int] = field(default=(0.0, 0), init=False)

    def __call__(self, sent: int, size: int) -> None:
        """Note how many bytes of the file the connection has taken so far, and the file's size."""
        now = self.clock()
        if sent <= self._sent or not self._sent:  # the first block, of this or of another upload
            self._began = self._logged = now, sent
        self._sent = sent
        passed, since = now - self._logged[0], sent - self._logged[1]
        due = passed >= _EVERY_SECONDS or since >= size * _EVERY_SHARE
        # The end has a line of its own, with the service's answer.
        if size < WORTH_A_LINE or sent >= size or passed < _AT_LEAST_SECONDS or not due:
            return
        self._logged = now, sent
        # The first block is no measure: it is handed over before the clock starts.
        rate = (sent - self._began[1]) / (now - self._began[0])
        log.info(
            "Sent%s %s of %s MiB (%d %%), %s MiB/s, about %s s left.",
            f" of {printable(self.name)}" if self.name else "",
            f"{sent / _MIB:,.0f}",
            f"{size / _MIB:,.0f}",
            100 * sent // size,
            f"{rate / _MIB:,.1f}",
            f"{(size - sent) / rate:,.0f}",  # above 0: a line is due after further blocks only
        )
