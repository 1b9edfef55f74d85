"""QuotaTrigger: waits in the triggerer until enough of the month's upload volume is left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from ipernity_provider.api.errors import PermanentError, TransientError
from ipernity_provider.text import log_lines
from ipernity_provider.triggers import events

if TYPE_CHECKING:
    from ipernity_provider.api.client import IpernityClient
    from ipernity_provider.api.models import Quota

_THREAD = "ipernity-quota"
_FIRST_PAUSE = 5.0
_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 120.0
_LAST_LOOK_SECONDS = 10.0

UNLIMITED = "The account's upload volume is unlimited: the service raises its ceiling by itself."


def ask_quota(client: IpernityClient) -> Quota:
    """Return the account's quota (``account.getQuota``).

    It says how much of this month's upload volume is left.

    :raises PermanentError: the service does not say.
    """
    quota = client.get_quota()
    if quota.left_bytes is None and not quota.unlimited:
        raise PermanentError(
            "account.getQuota: the service does not say how much of this month's upload volume is"
            " left: waiting for it would never end. Go on without this sensor; an upload that is"
            " too large is refused.",
            method="account.getQuota",
        )
    return quota


def bytes_left(quota: Quota, wanted: int) -> int:
    """Return how many bytes may be uploaded this month.

    With an unlimited account they are no less than are wanted.
    """
    left = quota.left_bytes or 0
    return max(left, wanted) if quota.unlimited else left


def left_and_wanted(left: int | None, wanted: int) -> str:
    """Return the sentence about what was seen last."""
    if left is None:
        return (
            f"How much of this month's upload volume is left is not known, {wanted} bytes are"
            " wanted."
        )
    return f"{left} bytes of this month's upload volume are left, {wanted} are wanted."


class QuotaTrigger(BaseTrigger):
    """Fires once: when enough upload volume is left, at a lasting error, or at the deadline.

    A lasting error is one that waiting cannot mend.

    It first looks soon (the task has just looked, but the triggerer may have been away for long),
    and for the last time at the deadline. Outages and rate limits are survived. The connection is
    read anew for each look: a token may be renewed while the task waits for weeks.

    :param min_bytes: what must be left of this month's upload volume, in bytes.
    :param ipernity_conn_id: the connection.
    :param poll_interval: pause between two looks, in seconds.
    :param deadline: when to give up, in unix seconds: a restarted triggerer does not wait longer.
    :param state: what the resumed task needs to go on, JSON-simple and without secrets; it comes
        back in the event.
    """

    def __init__(
        self,
        *,
        min_bytes: int,
        ipernity_conn_id: str,
        poll_interval: float,
        deadline: float,
        state: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.min_bytes = min_bytes
        self.ipernity_conn_id = ipernity_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.state = state or {}
        self._left: int | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "min_bytes": self.min_bytes,
                "ipernity_conn_id": self.ipernity_conn_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "state": self.state,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(await self._ending())

    async def _ending(self) -> dict[str, Any]:
        try:
            # The last look begins at the deadline.
            async with asyncio.timeout(
                max(0.0, self.deadline - time.time()) + _LAST_LOOK_SECONDS
            ) as limit:
                left = await self._wait()
        except TimeoutError:
            if not limit.expired():
                raise
            left = None
        except PermanentError as error:
            log_lines(self.log, logging.ERROR, str(error))
            return events.failed(error)
        if left is None:
            self.log.info(
                "The time limit has come. %s", left_and_wanted(self._left, self.min_bytes)
            )
            return events.volume_timed_out(self._left, self.state)
        return events.volume_left(left, self.state)

    async def _wait(self) -> int | None:
        """Return the bytes left, once they are enough; None if they are not at the deadline."""
        interval = max(self.poll_interval, _SHORTEST_PAUSE)
        pause = min(interval, _FIRST_PAUSE)
        while True:
            remaining = max(0.0, self.deadline - time.time())
            self.log.info("Waiting for upload volume; next look in %.0f s.", min(pause, remaining))
            await asyncio.sleep(min(pause, remaining))
            try:
                quota = await self._look()
            except TransientError as error:
                log_lines(self.log, logging.WARNING, f"{error} Still waiting.")
                next_pause = max(interval, min(2 * pause, _LONGEST_PAUSE))
            else:
                left = self._left = bytes_left(quota, self.min_bytes)
                self.log.info(
                    "%s", UNLIMITED if quota.unlimited else left_and_wanted(left, self.min_bytes)
                )
                if left >= self.min_bytes:
                    return left
                next_pause = interval
            if remaining <= pause or time.time() >= self.deadline:
                return None
            pause = next_pause

    async def _look(self) -> Quota:
        """Ask in a separate thread, which ends with the call.

        It also ends when the answer is not awaited any more.
        """
        from ipernity_provider.hooks.ipernity import IpernityHook

        make_client = await IpernityHook(self.ipernity_conn_id).aget_conn_maker()
        thread = ThreadPoolExecutor(1, thread_name_prefix=_THREAD)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                thread, _connect_and_ask, make_client
            )
        finally:
            thread.shutdown(wait=False)


def _connect_and_ask(make_client: Callable[[], IpernityClient]) -> Quota:
    with make_client() as client:
        return ask_quota(client)
