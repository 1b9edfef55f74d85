"""What the operators that replace files have in common."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.parameters import read_flag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from airflow.sdk import Context, ObjectStoragePath, XComArg

    from ipernity_provider.triggers.deadline import Deadline

_AS_THEY_ARE = (
    "if_unchanged",
    "check_account",
    "on_uncertain",
    "resend_grace",
    "require_backup",
    "verify",
    "on_new_document",
)


class ReplacingOperator(BaseOperator):
    """Reads what its subclasses keep under the names of their parameters."""

    file_conn_id: str | None
    backup_to: str | Path | ObjectStoragePath | None
    upload_roots: Sequence[str] | str | None
    poll_interval: float
    timeout: float
    force: bool | str | XComArg
    ipernity_conn_id: str

    #: Set by :meth:`on_kill`; made when the task begins, for an operator that waits to be run is copied.
    given_up: threading.Event | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if getattr(self, "retry_policy", self) is None:  # Airflow 3.3, and the user has not chosen one
            from ipernity_provider.operators.retries import PatientRetryPolicy

            self.retry_policy = PatientRetryPolicy()
        # Each key of the result is an XCom of its own, so that `output["ticket"]` works, mapped or not.
        self.multiple_outputs = True

    @cached_property
    def hook(self) -> IpernityHook:
        return IpernityHook(self.ipernity_conn_id)

    def asked(self, context: Context) -> dict[str, Any]:
        """The parts of an order that are the same for one file and for many.

        :raises Refused: one of them is impossible.
        """
        from ipernity_provider.hooks.files import as_folder

        return {
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
            "force": read_flag("force", self.force),
            "upload_roots": self.hook.upload_roots(self.upload_roots),
            "backup_to": as_folder(self.backup_to, self.file_conn_id),
            # Airflow raises it when a task is cleared and leaves it alone when it retries one.
            "run": str(getattr(context["ti"], "max_tries", "")),
        }

    def failure_xcoms(self, error: BaseException) -> dict[str, Any]:
        """Return what a failed task leaves behind for callbacks and downstream tasks, under the keys of its result."""
        if not self.do_xcom_push:
            return {}
        known = {key: getattr(error, key, None) for key in ("new_doc_id", "url")}
        return {"reason": str(error), **known}

    def on_kill(self) -> None:
        """What is being sent breaks off before its last byte, so that the next try need not ask what became of it."""
        if self.given_up:
            self.given_up.set()

    def wait_in_triggerer(
        self,
        tickets: Mapping[str, str | None],
        *,
        deadline: Deadline,
        until_all: bool = False,
        state: dict[str, Any],
    ) -> None:
        """Go on with ``execute_complete`` once the tickets are settled, or the time is over.

        :param tickets: ticket -> the document that it should lead to.
        :param deadline: when the time is over.
        :param until_all: go on only when all are settled, even if one cannot end well.
        :param state: what ``execute_complete`` finds in its event, beside the deadline.
        """
        from ipernity_provider.triggers.ipernity import TicketTrigger

        self.defer(
            trigger=TicketTrigger(
                tickets=tickets,
                ipernity_conn_id=self.ipernity_conn_id,
                poll_interval=self.poll_interval,
                deadline=deadline.at,
                until_all=until_all,
                state={**state, "deadline": deadline.to_json()},
            ),
            method_name="execute_complete",
            timeout=deadline.for_airflow,
        )
