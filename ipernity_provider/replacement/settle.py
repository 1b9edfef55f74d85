"""settle: wait until the service has finished with a ticket."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import TransientError
from ipernity_provider.api.models import Ticket
from ipernity_provider.api.pace import next_delay
from ipernity_provider.api.sentences import log_lines
from ipernity_provider.replacement.order import NotFinished

log = logging.getLogger(__name__)


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
            raise NotFinished.after(f"the timeout of {timeout:g} s", ticket)
        log.info("Ticket %s is being processed; next look in %.0f s.", ticket, min(delay, left))
        sleep(min(delay, left))
        looks += 1


def look(client: IpernityClient, ticket: str) -> Ticket:
    """The ticket as it is now; pending if the service cannot say."""
    try:
        return client.check_tickets([ticket])[0]
    except TransientError as error:
        log_lines(log, logging.WARNING, f"{error} The upload is safe; still waiting.")
        return Ticket(ticket, "pending")
