"""TicketTrigger: waits for upload tickets in the triggerer, where waiting holds no worker slot."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from ipernity_provider.triggers.poller import poller_of

if TYPE_CHECKING:
    from ipernity_provider.api.models import Ticket
    from ipernity_provider.triggers.poller import Subscription

_FIRST_QUIET = 10.0
_LONGEST_QUIET = 300.0


class TicketTrigger(BaseTrigger):
    """Fires once: when all tickets are finished, when one has failed, or at the deadline.

    All triggers of one connection share their status calls, 50 tickets a call. What becomes of the
    tickets is judged on the worker, which resumes the task.

    :param tickets: ticket -> the document that it should lead to; None where that is not known.
    :param ipernity_conn_id: the connection.
    :param poll_interval: longest pause between two looks at a ticket, in seconds.
    :param deadline: when to give up, in unix seconds: a restarted triggerer does not wait longer.
    :param until_all: wait for the end of all, even if one cannot end well.
    :param state: what the resumed task needs to go on, JSON-simple and without secrets; it comes
        back in the event.
    """

    def __init__(
        self,
        *,
        tickets: Mapping[str, str | None],
        ipernity_conn_id: str,
        poll_interval: float,
        deadline: float,
        until_all: bool = False,
        state: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tickets = dict(tickets)
        self.ipernity_conn_id = ipernity_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.until_all = until_all
        self.state = state or {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "tickets": self.tickets,
                "ipernity_conn_id": self.ipernity_conn_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "until_all": self.until_all,
                "state": self.state,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from ipernity_provider.hooks.ipernity import IpernityHook

        poller = poller_of(
            self.ipernity_conn_id, IpernityHook(self.ipernity_conn_id).aget_conn_maker
        )
        async with poller.subscribe(self.tickets, self.poll_interval) as subscription:
            event = await self._wait(subscription)
        yield event

    async def _wait(self, subscription: Subscription) -> TriggerEvent:
        from ipernity_provider.api.errors import PermanentError
        from ipernity_provider.text import log_lines
        from ipernity_provider.triggers import events

        self.log.info("Waiting for %s.", _count(len(self.tickets)))
        self._quiet = _FIRST_QUIET
        self._next_line = asyncio.get_running_loop().time() + self._quiet
        try:
            async with asyncio.timeout(self.deadline - time.time()):
                while subscription.pending and not self._has_failed(subscription):
                    await self._wait_for_news(subscription)
        except TimeoutError:
            self.log.info(
                "The time limit has come; %s not finished.", _count(len(subscription.pending))
            )
            return TriggerEvent(events.timed_out(subscription.states.values(), self.state))
        except PermanentError as error:
            log_lines(self.log, logging.ERROR, str(error))
            return TriggerEvent(events.failed(error))
        self.log.info(
            "%s settled, %d pending.", _count(len(subscription.states)), len(subscription.pending)
        )
        return TriggerEvent(events.settled(subscription.states.values(), self.state))

    def _has_failed(self, subscription: Subscription) -> bool:
        return not self.until_all and any(map(self._is_failed, subscription.states.values()))

    def _is_failed(self, ticket: Ticket) -> bool:
        from ipernity_provider.replacement.decisions import TicketMeaning, interpret_ticket

        meaning = interpret_ticket(self.tickets[ticket.id], ticket)
        return meaning not in {TicketMeaning.IN_PLACE, TicketMeaning.PENDING}

    async def _wait_for_news(self, subscription: Subscription) -> None:
        """Wait for news, and log now and then that the task is alive.

        The lines become rarer, so that they do not fill its log.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(self._next_line):
                await subscription.news()
        except TimeoutError:
            self._quiet = min(2 * self._quiet, _LONGEST_QUIET)
        else:
            if not subscription.trouble:
                return
        self._next_line = loop.time() + self._quiet
        self._log_progress(subscription, max(0.0, subscription.next_check - loop.time()))

    def _log_progress(self, subscription: Subscription, in_seconds: float) -> None:
        from ipernity_provider.text import log_lines

        if subscription.trouble:
            trouble = (
                f"{subscription.trouble} The uploads are safe; next check in {in_seconds:.0f} s."
            )
            log_lines(self.log, logging.WARNING, trouble)
        else:
            pending, done = len(subscription.pending), len(subscription.states)
            self.log.info(
                "Waiting for %s, %d done; next check in %.0f s.", _count(pending), done, in_seconds
            )


def _count(tickets: int) -> str:
    return f"{tickets} ticket" if tickets == 1 else f"{tickets} tickets"
