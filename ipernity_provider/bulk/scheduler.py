"""Who is sent next, and when nothing more is sent: pure, without threads and without a clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ipernity_provider.bulk.rows import Row

OnError = Literal["stop", "continue"]
StopReason = Literal[
    "refused", "failed", "new_document", "volume", "credentials", "outage", "ended"
]
"""Why nothing more is sent.

``refused``: rows cannot be replaced, which was found before sending. ``failed``: a row could not be
replaced, or not for now. ``new_document``: the service creates new documents. ``volume``: the
month's upload volume does not suffice. ``credentials``: the token is refused. ``outage``: the
service or the network is down. ``ended``: the process is to end.
"""

ATTEMPTS_PER_ROW = 3
_ROWS_OF_AN_OUTAGE = 3


@dataclass(frozen=True)
class Stop:
    """The end of sending; what was sent is still proven, but in an outage.

    :param message: continues a sentence that begins with ``Nothing more was sent, because``.
    """

    reason: StopReason
    message: str


class SendScheduler:
    """Gives out the rows to send, one after the other.

    One upload, the canary, is proven before others follow, and what earlier tries have sent is
    looked at before that: a service that creates new documents is to be noticed at the first one. A
    row that fails for now is sent behind the others, up to three times; where three rows fail and
    none succeeds in between, it is an outage.

    :param queue: the documents to send to, in their order, each with the volume that it takes, in
        bytes.
    :param unchecked: documents of uploads of earlier tries whose state is not known yet.
    :param left_bytes: of this month's upload volume; None where it is not known, or not limited.
    :param stop: why nothing is sent from the start.
    """

    def __init__(
        self,
        queue: Mapping[str, int],
        *,
        max_parallel: int,
        unchecked: Iterable[str] = (),
        left_bytes: int | None = None,
        stop: Stop | None = None,
    ) -> None:
        self._queue = deque(queue)
        self._volumes = dict(queue)
        self._max_parallel = max_parallel
        self._unchecked = set(unchecked)
        self._left_bytes = left_bytes
        self._sending: set[str] = set()
        self._canary: str | None = None
        self._canary_proven = False
        self._attempts: Counter[str] = Counter()
        self._failures: set[str] = set()
        #: Why nothing more is sent; None while sending goes on.
        self.stop = stop

    def __len__(self) -> int:
        """Return how many wait for their turn."""
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send, or nothing more is sent."""
        return self.stop is not None or not self._queue

    @property
    def outage(self) -> bool:
        return self.stop is not None and self.stop.reason == "outage"

    def next(self) -> str | None:
        """Return the document to send to now; None if there is none for now, or none any more."""
        blocked = self._unchecked or (self._canary and not self._canary_proven)
        if self.idle or blocked or len(self._sending) >= self._max_parallel:
            return None
        doc_id = self._queue[0]
        volume = self._volumes[doc_id]
        if self._left_bytes is not None:
            if volume > self._left_bytes:
                self.end(
                    "volume",
                    f"{self._left_bytes} bytes of this month's upload volume are left, the next"
                    f" file has {volume}",
                )
                return None
            self._left_bytes -= volume
        self._queue.popleft()
        self._sending.add(doc_id)
        self._canary = self._canary or doc_id
        return doc_id

    def add(self, doc_id: str, volume: int) -> None:
        """Queue a document whose earlier upload turned out not to count."""
        self._volumes[doc_id] = volume
        self._queue.append(doc_id)

    def end(self, reason: StopReason, message: str) -> None:
        """Send nothing more; the first reason counts, but an outage also ends the proving."""
        if self.stop is None or reason == "outage":
            self.stop = Stop(reason, message)

    # -- what becomes of them ----------------------------------------------------------------------

    def note_sent(self, doc_id: str) -> None:
        """Take in that the service has accepted the upload."""
        self._sending.discard(doc_id)
        self._failures.clear()

    def note_checked(self, doc_id: str) -> None:
        """Take in that the service still works on an upload of an earlier try."""
        self._unchecked.discard(doc_id)

    def note_done(self, doc_id: str, *, proven: bool = False) -> None:
        """Take in that nothing more happens with a row.

        :param proven: its upload was; else the next one is the canary.
        """
        if doc_id in self._sending:  # nothing was sent
            self._sending.discard(doc_id)
            self._give_back(doc_id)
        self._unchecked.discard(doc_id)
        self._canary_proven = self._canary_proven or proven
        if proven:
            self._failures.clear()
        if self._canary == doc_id:
            self._canary = None

    def note_failure(self, doc_id: str, *, of_service: bool = True) -> bool:
        """Take in a failure that may pass.

        :param of_service: whether the service may be the reason, not the file.
        :return: whether to try the row again in this run.
        """
        self._attempts[doc_id] += 1
        if of_service:
            self._failures.add(doc_id)
            if len(self._failures) >= _ROWS_OF_AN_OUTAGE:
                self.end("outage", "the service or the network does not work at the moment")
        return not self.outage and self._attempts[doc_id] < ATTEMPTS_PER_ROW

    def requeue(self, doc_id: str) -> None:
        """Send to a document behind the others: its upload did not arrive, as far as is known."""
        self.note_done(doc_id)
        self._queue.append(doc_id)

    def drain(self) -> list[str]:
        """Return the documents that nothing was sent to, and forget them."""
        left = [*self._queue, *self._sending]
        self._queue.clear()
        self._sending.clear()
        return left

    def _give_back(self, doc_id: str) -> None:
        if self._left_bytes is not None:
            self._left_bytes += self._volumes[doc_id]


def find_obstacle(rows: Sequence[Row], left_bytes: int | None, on_error: OnError) -> Stop | None:
    """Decide whether anything may be sent.

    With ``on_error="stop"`` nothing is sent unless everything can be.

    :return: why nothing may be sent; None if all is well, or if what can be sent is to be.
    """
    if on_error == "continue":
        return None
    bad = sum(row.status in {"refused", "failed", "uncertain", "not_sent"} for row in rows)
    if bad:
        return Stop("refused", f"{bad} of {len(rows)} cannot be replaced")
    total = sum(row.volume for row in rows if row.status == "planned")
    if left_bytes is not None and total > left_bytes:
        left = f"only {left_bytes} bytes of this month's upload volume are left"
        return Stop("volume", f"the files have {total} bytes together, but {left}")
    return None
