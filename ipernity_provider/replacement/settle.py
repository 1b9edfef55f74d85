"""settle: wait until the service has finished with a ticket."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import TransientError
from ipernity_provider.api.models import Ticket
from ipernity_provider.replacement.order import NotFinished

log = logging.getLogger(__name__)

FIRST_DELAY = 2.0
GROWTH = 1.5
#: Whatever interval is asked for: the service is not to be hammered.
SHORTEST_DELAY = 0.1


def next_delay(looks: int, eta: float | None, poll_interval: float) -> float:
    """Seconds until the next look at a pending ticket: 2 s growing to ``poll_interval``, never later than the ETA.

    The service's ETA is unreliable (360 s announced, 15 s needed), so it can only make a look earlier; and a pending
    ticket may have an ETA of 0, so it never makes one at once.

    :param looks: how often the ticket was looked at already.
    :param eta: what the service announced, in seconds.
    """
    # Capped before the power: a ticket that waits for days must not overflow a float.
    grown = FIRST_DELAY * GROWTH ** min(looks, 40)
    poll_interval = max(poll_interval, SHORTEST_DELAY)
    delay = min(grown, poll_interval)
    return delay if eta is None else min(delay, max(eta, min(FIRST_DELAY, poll_interval)))


def settle(
    client: IpernityClient,
    ticket: str,
    *,
    poll_interval: float,
    timeout: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Ticket:
    """Wait for one ticket, through transient errors, until it is done, invalid or no longer known.

    :param poll_interval: longest pause between two looks, in seconds.
    :param timeout: seconds after which to give up.
    :raises NotFinished: the time limit passed.
    """
    end = time.monotonic() + timeout
    looks = 0
    while True:
        state = look(client, ticket)
        if not state.pending:
            return state
        delay = next_delay(looks, state.eta, poll_interval)
        left = end - time.monotonic()
        if left <= 0:
            raise NotFinished.after(timeout, ticket)
        log.info("Ticket %s is being processed; next look in %.0f s.", ticket, min(delay, left))
        sleep(min(delay, left))
        looks += 1


def look(client: IpernityClient, ticket: str) -> Ticket:
    """The ticket as it is now; pending if the service cannot say."""
    try:
        return client.check_tickets([ticket])[0]
    except TransientError as error:
        log.warning("%s The upload is safe; going on waiting.", error)
        return Ticket(ticket, "pending")
