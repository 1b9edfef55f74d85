"""The sensors: TicketSensor and IpernityQuotaSensor.

The first waits for uploads to be processed, the second for upload volume.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from ipernity_provider.airflow_compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    conf,
)
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.parameters import Seconds, require_flag, require_seconds
from ipernity_provider.links.ipernity import DocumentLink, NewDocumentLink
from ipernity_provider.sensors.quota import IpernityQuotaSensor

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from ipernity_provider.replacement.tickets import Tickets

__all__ = ["IpernityQuotaSensor", "TicketSensor"]

_STATE_KEY = "ipernity_tickets"


class TicketSensor(BaseSensorOperator):
    """Waits for upload tickets and returns which document each has led to.

    Only unfinished tickets are asked about, at most 50 a call. The pause between two rounds is 2 s,
    growing to ``poke_interval``, and ends when the service's ETA says so. An invalid or unknown
    ticket fails the task at once.

    :param tickets: one ticket, any number of them, or the output of a
        :class:`~ipernity_provider.operators.ipernity.ReplaceFileOperator`, mapped or not
        (templated). From its whole result (``replace.output``) the sensor also knows which document
        was to be replaced, and fails if the service made a new one instead. None stands for nothing
        to wait for.
    :param poke_interval: longest pause between two rounds, in seconds or as timedelta.
    :param timeout: when to give up, in seconds or as timedelta; by default what Airflow's
        configuration says.
    :param deferrable: wait in the triggerer, without a worker slot, all tickets together.
    :param ipernity_conn_id: the connection (templated).
    :return: ticket -> document id.
    """

    template_fields: Sequence[str] = ("tickets", "ipernity_conn_id")
    operator_extra_links = (DocumentLink(), NewDocumentLink())

    def __init__(
        self,
        *,
        tickets: (
            XComArg | str | Mapping[str, Any] | Iterable[str | Mapping[str, Any] | None] | None
        ),
        poke_interval: Seconds = 30.0,
        timeout: Seconds | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        ipernity_conn_id: str = IpernityHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        if timeout is not None:  # before Airflow 3.3 a sensor does not take None
            kwargs["timeout"] = require_seconds("timeout", timeout)
        super().__init__(poke_interval=require_seconds("poke_interval", poke_interval), **kwargs)
        self.deferrable = require_flag("deferrable", deferrable)
        self.tickets = tickets
        self.ipernity_conn_id = ipernity_conn_id
        self._known: Tickets | None = None
        self._remembers = False

    def execute(self, context: Context) -> Any:
        if isinstance(self.tickets, Mapping) and self.tickets.get("url"):
            context["ti"].xcom_push(key="url", value=self.tickets["url"])  # for the links
        if self.deferrable:
            return self._look_once_or_defer(context)
        from ipernity_provider.hooks.failures import readable_failures

        with readable_failures(self.log, context):
            try:
                return super().execute(context)
            except AirflowSensorTimeout as error:
                raise AirflowSensorTimeout(f"{error} {self._not_finished()}") from None

    def execute_complete(
        self,
        context: Context,
        event: Any,
        finished: dict[str, str] | None = None,
    ) -> dict[str, str]:
        """Judge what the trigger has seen.

        :param finished: ticket -> document, as known when an older version deferred the task;
            otherwise it is in the event.
        """
        from ipernity_provider.hooks.failures import readable_failures
        from ipernity_provider.replacement.tickets import Tickets, read_tickets
        from ipernity_provider.sensors.limits import time_is_up
        from ipernity_provider.triggers.deadline import Deadline
        from ipernity_provider.triggers.events import read_event, reading

        with readable_failures(
            self.log, context, skips=self.soft_fail or self.never_fail, xcoms=_new_document
        ):
            states, timed_out, state = read_event(event)
            with reading(event):
                finished = dict(state["finished"] if finished is None else finished)
                deadline = Deadline.from_json(state.get("deadline"), self.timeout)
            self._known = Tickets(read_tickets(self.tickets), finished)
            self._known.note(states)
            if timed_out or self._known.pending:
                raise time_is_up(self, deadline, self._not_finished())
            return self._known.finished

    def _look_once_or_defer(self, context: Context) -> dict[str, str]:
        from ipernity_provider.triggers.deadline import Deadline
        from ipernity_provider.triggers.ipernity import TicketTrigger

        try:
            tickets = self._round(context)
        except AirflowFailException as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipping: {error}") from error
            raise
        if tickets.pending:
            deadline = Deadline.of(context, self.timeout, self.execution_timeout)
            self.defer(
                trigger=TicketTrigger(
                    tickets=tickets.expected,
                    ipernity_conn_id=self.ipernity_conn_id,
                    poll_interval=self.poke_interval,
                    deadline=deadline.at,
                    state={"finished": tickets.finished, "deadline": deadline.to_json()},
                ),
                method_name="execute_complete",
                timeout=deadline.for_airflow,
            )
        return tickets.finished

    def _not_finished(self) -> str:
        from ipernity_provider.text import summarize

        pending = summarize(self._known.pending if self._known else [])
        return (
            f"Not finished: {pending}. The uploads are safe: clear the task to wait longer, or"
            " raise its timeout."
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Check the pending tickets once.

        :raises AirflowFailException: a ticket is invalid, unknown, or led to another document.
        """
        tickets = self._round(context)
        return PokeReturnValue(is_done=not tickets.pending, xcom_value=tickets.finished)

    def _round(self, context: Context) -> Tickets:
        from ipernity_provider.hooks.failures import readable_failures

        with readable_failures(
            self.log, context, skips=self.soft_fail or self.never_fail, xcoms=_new_document
        ):
            tickets = self._known = self._known or self._recall(context)
            self._look(tickets)
        self._remember(context, tickets)
        done, pending = len(tickets.finished), len(tickets.pending)
        self.log.info("%d of %d tickets are finished.", done, done + pending)
        return tickets

    def _look(self, tickets: Tickets) -> None:
        from ipernity_provider.api.errors import TransientError
        from ipernity_provider.text import log_lines

        if not tickets.pending:
            return
        try:
            with IpernityHook(self.ipernity_conn_id).get_conn() as client:
                states = client.check_tickets(tickets.pending)
        except TransientError as error:
            log_lines(self.log, logging.WARNING, f"{error} The uploads are safe; still waiting.")
            states = []
        tickets.note(states)

    def _recall(self, context: Context) -> Tickets:
        from ipernity_provider.replacement.tickets import Tickets, read_tickets

        store = self._store(context)
        stored = store.get(_STATE_KEY) if store is not None else None
        return Tickets(read_tickets(self.tickets), **(stored or {}))

    def _remember(self, context: Context, tickets: Tickets) -> None:
        self._remembers = (store := self._store(context)) is not None
        if store is not None:
            store.set(_STATE_KEY, {"finished": tickets.finished, "rounds": tickets.rounds})

    def _store(self, context: Context) -> Any:
        """Return where a rescheduled sensor keeps what it knows (Airflow 3.3).

        Each round of such a sensor is a new process.
        """
        return cast("dict[str, Any]", context).get("task_state_store") if self.reschedule else None

    def _get_next_poke_interval(self, *_: Any, **__: Any) -> float:
        """Return the delay that a single replacement's wait would have.

        It takes the place of Airflow's fixed or exponential one.
        """
        if self._known is None or (
            self.reschedule and self._known.rounds <= 1 and not self._remembers
        ):
            return self.poke_interval  # without a memory every round would pass for the first
        return self._known.next_delay(self.poke_interval)


def _new_document(error: BaseException) -> dict[str, Any]:
    """Return what the link to a new document needs."""
    return {"new_doc_id": getattr(error, "new_doc_id", None)}
