"""Wait for the service, gently."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError, TransientError
from ipernity_provider.api.models import Ticket
from ipernity_provider.api.parsing import Payload, parse_all
from ipernity_provider.probe.observations import Wait

_GROWTH = 1.5


@dataclass(frozen=True)
class Patience:
    """How long to wait for the service and how often to ask.

    :param seconds: in all, for one upload.
    :param first_pause: between the first two questions; it grows up to ``longest_pause``.
    """

    seconds: float = 300.0
    first_pause: float = 1.0
    longest_pause: float = 10.0

    def looks(self) -> Iterator[float]:
        """Yield the seconds since the start, with growing pauses in between.

        It ends when the time is over.
        """
        start, pause = time.monotonic(), self.first_pause
        while True:
            yield time.monotonic() - start
            left = self.seconds - (time.monotonic() - start)
            if left <= 0:
                return
            time.sleep(min(pause, left))
            pause = min(self.longest_pause, pause * _GROWTH)


def wait_for_ticket(
    client: IpernityClient,
    ticket: str,
    patience: Patience,
    seen: Callable[[Payload], None] = lambda _: None,
) -> Wait:
    """Ask for a ticket until it is done or invalid, or the time is over.

    :param seen: gets each answer.
    """
    announced: int | None = None
    was_pending, seconds = False, 0.0
    for seconds in patience.looks():
        try:
            reply = client.call("upload.checkTickets", tickets=[ticket])
            seen(reply)
            found = _find(reply, ticket)
        except TransientError:
            continue
        except IpernityError:  # also a ticket that is not known any more
            break
        if found is None:
            continue
        if not found.pending:
            return Wait(found.state, found.doc_id, seconds, announced, was_pending)
        if not was_pending:
            was_pending, announced = True, found.eta
    return Wait("unknown", None, seconds, announced, was_pending)


def _find(reply: Payload, ticket: str) -> Ticket | None:
    """Return the ticket; None if the answer leaves it out.

    :raises ReplyInvalid: it is not what a ticket must be.
    """
    tickets = parse_all(Ticket, reply, "upload.checkTickets", "tickets.ticket")
    return next((found for found in tickets if found.id == ticket), None)
