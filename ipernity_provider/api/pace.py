"""How often a ticket is looked at. Apart from the rest, for the triggerer needs no HTTP library for it."""

from __future__ import annotations

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
