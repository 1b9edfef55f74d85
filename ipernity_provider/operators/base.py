"""What the operators that replace files have in common."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAlias, BaseOperator

from ipernity_provider.airflow_compat import conf
from ipernity_provider.assets.ipernity import ANY_DOCUMENT
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.parameters import (
    Seconds,
    check_choice,
    check_flag,
    read_flag,
    require_flag,
    require_seconds,
)

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context, ObjectStoragePath, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from ipernity_provider.assets.changes import Change
    from ipernity_provider.replacement.request import (
        IfUnchanged,
        OnNewDocument,
        OnUncertain,
        Proof,
        ReplaceOptions,
    )
    from ipernity_provider.triggers.deadline import Deadline

_ALIAS = AssetAlias(ANY_DOCUMENT)
_CHOICES = ("if_unchanged", "proof", "on_new_document", "on_uncertain")


class ReplacingOperator(BaseOperator):
    """The shared parameters, and the waiting in the triggerer.

    On Airflow 3.3 rate limits and maintenance are waited for longer than ``retry_delay`` says, by
    :class:`~ipernity_provider.operators.retries.PatientRetryPolicy`; a ``retry_policy`` of your own
        takes its place.

    :param file_conn_id: the connection to the storage of files and backups whose URIs name none
        (``s3://conn@bucket/key`` does); local files need none (templated).
    :param deferrable: wait in the triggerer, without a worker slot. Uploads are always sent by a
        worker.
    :param poll_interval: longest pause between two checks of a ticket, in seconds or as timedelta.
    :param timeout: how long to wait for the service, in seconds or as timedelta; a retry continues
        to wait. A deferred task also stops waiting at the task's ``execution_timeout``.
    :param if_unchanged: what to do if a document already carries the bytes: ``succeed`` (outcome
        ``unchanged``), ``skip`` the task, or ``replace`` it anyway (templated).
    :param dry_run: check everything, send nothing: outcome ``planned`` (templated: true, 1, yes,
        false, 0 or no).
    :param proof: what a document must show before its replacement counts as done: ``best`` (the
        strongest level that the service shows), ``md5``, ``bytes`` (or better), ``changed`` (or
        better), ``none`` (templated).
    :param on_new_document: ``fail``, or ``keep`` a document that the service created instead of
        replacing (outcome ``new_document``, its id in ``new_doc_id``), or (experimental)
        ``transfer`` to it what the old one has besides its file, and make the old one private
        (outcome ``transferred``); ``transfer_keep`` leaves the old one as it is (templated).
    :param on_uncertain: ``fail``, or ``send`` (perhaps a second time) if the service does not show
        whether an earlier try's upload arrived (templated).
    :param backup_to: folder or object storage URI in which to keep the previous originals
        (templated).
    :param ipernity_conn_id: the connection (templated).
    """

    template_fields: Sequence[str] = (
        "file_conn_id",
        "backup_to",
        *_CHOICES,
        "dry_run",
        "ipernity_conn_id",
    )

    #: Set by :meth:`on_kill`; created in execute(): operators are deep-copied before they run.
    cancelled: threading.Event | None = None

    def __init__(
        self,
        *,
        file_conn_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: Seconds = 30.0,
        timeout: Seconds = 3600.0,
        if_unchanged: IfUnchanged | str | XComArg = "succeed",
        dry_run: bool | str | XComArg = False,
        proof: Proof | str | XComArg = "best",
        on_new_document: OnNewDocument | str | XComArg = "fail",
        on_uncertain: OnUncertain | str | XComArg = "fail",
        backup_to: str | Path | ObjectStoragePath | None = None,
        ipernity_conn_id: str = IpernityHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.file_conn_id = file_conn_id
        self.deferrable = require_flag("deferrable", deferrable)
        self.poll_interval = require_seconds("poll_interval", poll_interval, positive=True)
        self.timeout = require_seconds("timeout", timeout)
        self.if_unchanged = if_unchanged
        # Airflow has a method of this name and never calls it. A template field must be named as
        # its parameter: where it is mapped, Airflow finds the tasks upstream of it by that.
        self.dry_run = dry_run  # type: ignore[method-assign, assignment]
        self.proof = proof
        self.on_new_document = on_new_document
        self.on_uncertain = on_uncertain
        self.backup_to = backup_to
        self.ipernity_conn_id = ipernity_conn_id
        check_flag("dry_run", dry_run)
        for name in _CHOICES:
            check_choice(name, getattr(self, name))
        if (
            getattr(self, "retry_policy", self) is None
        ):  # Airflow 3.3, and the user has not chosen one
            from ipernity_provider.operators.retries import PatientRetryPolicy

            self.retry_policy = PatientRetryPolicy()
        # Each key of the result is an XCom of its own, so that `output["ticket"]` works, mapped or
        # not.
        self.multiple_outputs = True
        self.outlets = _with_alias(self.outlets)

    @classmethod
    def partial(cls, *, outlets: Any = None, **kwargs: Any) -> OperatorPartial:
        """Prepare to map the operator, see :meth:`airflow.sdk.BaseOperator.partial`."""
        return super().partial(outlets=_with_alias(outlets), **kwargs)

    @cached_property
    def hook(self) -> IpernityHook:
        return IpernityHook(self.ipernity_conn_id)

    def options(self) -> ReplaceOptions:
        """Return how to replace, with the templates rendered.

        :raises Refused: something is not possible.
        """
        return self.hook.replace_options(
            self.file_conn_id,
            backup_to=self.backup_to,
            dry_run=read_flag("dry_run", self.dry_run),
            poll_interval=self.poll_interval,
            timeout=self.timeout,
            **{name: getattr(self, name) for name in _CHOICES},
        )

    def changes(self) -> list[Change]:
        """Return the documents that the task has changed so far."""
        raise NotImplementedError

    def publish(self, context: Context, changes: list[Change], summary: dict[str, Any]) -> None:
        """Send the asset events that are due, and report lineage, once the task is done.

        :param summary: the extra of assets that are not documents.
        """
        from ipernity_provider.assets.events import send_events
        from ipernity_provider.assets.lineage import report_to_hook_lineage

        send_events(self, context, changes, summary)
        if changes:
            report_to_hook_lineage(self.hook, changes)

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return the files as inputs and the changed documents as outputs.

        The provider ``openlineage`` calls this, if it is installed; for a failed task, too.
        """
        from ipernity_provider.assets.lineage import openlineage_of

        return openlineage_of(self.changes())

    def failure_xcoms(self, error: BaseException) -> dict[str, Any]:
        """Return what a failed task leaves for callbacks and downstream tasks.

        The keys are those of its result.
        """
        if not self.do_xcom_push:
            return {}
        known = {key: getattr(error, key, None) for key in ("new_doc_id", "url")}
        return {"reason": str(error), **known}

    def on_kill(self) -> None:
        """Abort what is being sent before its last block.

        So the next try need not ask what became of it.
        """
        if self.cancelled:
            self.cancelled.set()

    def wait_in_triggerer(
        self,
        tickets: Mapping[str, str | None],
        *,
        deadline: Deadline,
        until_all: bool = False,
        state: dict[str, Any],
    ) -> None:
        """Continue with ``execute_complete`` once the tickets are finished, or the time is over.

        :param tickets: ticket -> the document that it should lead to.
        :param deadline: when the time is over.
        :param until_all: continue only when all are finished, even if one has failed.
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


def _with_alias(outlets: Any) -> list[Any]:
    """Return the outlets with the alias through which events are sent.

    Airflow makes an alias that it does not know while it registers a task's success. Two tasks that
    end at the same time both do, and it calls one of them failed, whatever it has replaced. It
    knows those that a DAG names.
    """
    named = outlets if isinstance(outlets, (list, tuple, set)) else [outlets] if outlets else []
    return [*(outlet for outlet in named if outlet != _ALIAS), _ALIAS]
