"""IpernityQuotaSensor: waits until enough of the month's upload volume is left."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from ipernity_provider.airflow_compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    conf,
)
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.parameters import (
    Seconds,
    is_template,
    read_bytes,
    require_flag,
    require_seconds,
)

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

_SHORTEST_PAUSE = 0.1


class IpernityQuotaSensor(BaseSensorOperator):
    """Waits until enough of this month's upload volume is left; returns the bytes left.

    The service gives an account a new volume each month; an "unlimited" account does not wait.
    While it cannot be asked (an outage, a rate limit) the sensor goes on waiting; an error that
    waiting cannot mend fails the task at once, and so does a service that does not say what is
    left.

    :param min_bytes: what must be left, in bytes: a number, or what a template or another task
        makes of it (templated).
    :param poke_interval: pause between two looks, in seconds.
    :param timeout: when to give up, in seconds; by default after more than the longest month.
    :param mode: ``reschedule`` holds no worker slot between two looks; ``poke`` does.
    :param deferrable: wait in the triggerer, without a worker slot.
    :param ipernity_conn_id: the connection (templated); its token needs the permission doc: write.
    :return: the bytes that are left; with an "unlimited" account no less than ``min_bytes``,
        however near it is to its ceiling, which the service raises by itself.
    """

    template_fields: Sequence[str] = ("min_bytes", "ipernity_conn_id")

    def __init__(
        self,
        *,
        min_bytes: XComArg | float | str,
        poke_interval: Seconds = 3600.0,
        timeout: Seconds = 32 * 24 * 3600.0,
        mode: str = "reschedule",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        ipernity_conn_id: str = IpernityHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=require_seconds("poke_interval", poke_interval),
            timeout=require_seconds("timeout", timeout),
            mode=mode,
            **kwargs,
        )
        self.deferrable = require_flag("deferrable", deferrable)
        self.min_bytes = min_bytes
        self.ipernity_conn_id = ipernity_conn_id
        self._left: int | None = None
        if not is_template(min_bytes):
            read_bytes("min_bytes", min_bytes)

    def execute(self, context: Context) -> Any:
        if self.deferrable:
            return self._look_once_or_defer(context)
        from ipernity_provider.hooks.failures import readable_failures

        with readable_failures(self.log, context):
            try:
                return super().execute(context)
            except AirflowSensorTimeout as error:
                raise AirflowSensorTimeout(f"{error} {self._seen()}") from None

    def execute_complete(self, context: Context, event: Any) -> int:
        """Judge what the trigger has seen."""
        from ipernity_provider.api.errors import TransientError
        from ipernity_provider.hooks.failures import readable_failures
        from ipernity_provider.sensors.limits import time_is_up
        from ipernity_provider.triggers.deadline import Deadline
        from ipernity_provider.triggers.events import read_volume_event, reading

        with readable_failures(self.log, context, skips=self.soft_fail or self.never_fail):
            self._left, timed_out, state = read_volume_event(event)
            with reading(event):
                deadline = Deadline.from_json(state.get("deadline"), self.timeout)
            wanted = self._wanted()
            if timed_out:
                raise time_is_up(self, deadline, self._seen())
            if self._left is None or self._left < wanted:
                raise TransientError(f"{self._seen()} The task was resumed too early.")
            return self._left

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002
        """Check once whether enough upload volume is left.

        :raises AirflowFailException: the service does not say what is left, or waiting cannot help.
        """
        return PokeReturnValue(is_done=self._enough(), xcom_value=self._left)

    def _look_once_or_defer(self, context: Context) -> int | None:
        from ipernity_provider.triggers.deadline import Deadline
        from ipernity_provider.triggers.quota import QuotaTrigger

        try:
            enough = self._enough()
        except AirflowFailException as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipping: {error}") from error
            raise
        if not enough:
            deadline = Deadline.of(context, self.timeout, self.execution_timeout)
            self.defer(
                trigger=QuotaTrigger(
                    min_bytes=self._wanted(),
                    ipernity_conn_id=self.ipernity_conn_id,
                    poll_interval=self.poke_interval,
                    deadline=deadline.at,
                    state={"deadline": deadline.to_json()},
                ),
                method_name="execute_complete",
                timeout=deadline.for_airflow,
            )
        return self._left

    def _enough(self) -> bool:
        """Whether enough is left, as far as the service can be asked."""
        from ipernity_provider.api.errors import TransientError
        from ipernity_provider.hooks.failures import readable_failures
        from ipernity_provider.text import log_lines
        from ipernity_provider.triggers.quota import UNLIMITED, ask_quota, bytes_left

        with readable_failures(self.log, skips=self.soft_fail or self.never_fail):
            wanted = self._wanted()
            try:
                with IpernityHook(self.ipernity_conn_id).get_conn() as client:
                    quota = ask_quota(client)
            except TransientError as error:
                log_lines(self.log, logging.WARNING, f"{error} Still waiting.")
                return False
        self._left = bytes_left(quota, wanted)
        self.log.info("%s", UNLIMITED if quota.unlimited else self._seen())
        return self._left >= wanted

    def _wanted(self) -> int:
        """Return what the templates have made of ``min_bytes``."""
        return read_bytes("min_bytes", self.min_bytes)

    def _seen(self) -> str:
        from ipernity_provider.triggers.quota import left_and_wanted

        return left_and_wanted(self._left, self._wanted())

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """Airflow's, but never none at all: the service is not to be hammered."""
        return max(_SHORTEST_PAUSE, super()._get_next_poke_interval(*args, **kwargs))
