"""The operators: ReplaceFileOperator for one document, and ReplaceFilesOperator for many."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import conf

from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.parameters import (
    Seconds,
    check_choice,
    check_flag,
    read_flag,
    require_flag,
    require_seconds,
)
from ipernity_provider.links.ipernity import DocumentLink
from ipernity_provider.operators.base import ReplacingOperator
from ipernity_provider.operators.batch import ReplaceFilesOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context, ObjectStoragePath, XComArg

    from ipernity_provider.api.client import IpernityClient
    from ipernity_provider.api.models import Ticket
    from ipernity_provider.replacement import Demand, Entry, Journal
    from ipernity_provider.replacement.order import (
        IfUnchanged,
        OnNewDocument,
        OnUncertain,
        Order,
        Result,
        Verify,
    )

__all__ = ["ReplaceFileOperator", "ReplaceFilesOperator"]


class ReplaceFileOperator(ReplacingOperator):
    """Replaces the file behind a document on ipernity.com: streamed, verified, never twice.

    On Airflow 3.3 rate limits and maintenance are waited for longer than ``retry_delay`` says, by
    :class:`~ipernity_provider.operators.retries.PatientRetryPolicy`; a ``retry_policy`` of one's own takes its place.

    A green task means that the document now carries these bytes. The service sometimes makes a *new* document instead
    of replacing; that fails the task, with both documents named. A retry first finds out what an earlier try has sent.

    :param doc_id: the document's number, e.g. ``5412``, or the address of its page (templated).
    :param file: the new file: a local path, a URI (``file://``, ``s3://``, ``gs://``, ``abfs://``, or what else Airflow
        has a storage for), or an ``ObjectStoragePath`` (templated). The worker streams it; nothing is put on its disk.
        An MD5 that the storage claims is compared while sending, and spares reading the file twice.
    :param file_conn_id: the connection to the storage of ``file`` and ``backup_to``, where their URIs name none
        (``s3://conn@bucket/key`` does); local files need none (templated).
    :param filename: the name that the service is told; the file's own by default (templated).
    :param wait_for_completion: wait until the service has processed the file, and verify. If False the task ends with
        the outcome ``sent`` and a ticket for :class:`~ipernity_provider.sensors.ipernity.TicketSensor`.
    :param asynchronous: let the service answer at once with a ticket (``async=1``); if False the upload call itself
        waits until the document is complete (``async=0``).
    :param deferrable: wait in the triggerer, without a worker slot. The upload itself is always sent by a worker.
    :param poll_interval: longest pause between two looks at the ticket, in seconds or as timedelta.
    :param timeout: how long to wait for the service, in seconds or as timedelta; a retry goes on waiting. A deferred
        task also stops waiting at the task's ``execution_timeout``.
    :param if_unchanged: what to do if the document already carries these bytes: ``succeed`` (outcome ``unchanged``),
        ``skip`` the task, or ``replace`` it anyway (templated).
    :param dry_run: plan only: outcome ``planned``, nothing is sent (templated: true, 1, yes, false, 0 or no).
    :param verify: least proof that is accepted: the stored ``md5``, the ``size`` (or better), that the document
        ``changed`` (or better), or ``none`` (templated). The proof reached is ``verified_by`` in the result.
    :param on_new_document: ``fail``, or ``keep`` a document that the service made instead of replacing (outcome
        ``new_document``, its id in ``new_doc_id``) (templated).
    :param on_uncertain: ``fail``, or ``send`` (perhaps a second time) if it is not known whether an earlier try's
        upload was accepted (templated).
    :param resend_grace: seconds that an upload of unknown fate is given to show up before it is sent again; longer than
        the service takes to process a file, for it shows nothing before.
    :param force: in a cleared task, send again what an earlier run of it has sent already (templated).
    :param check_account: ask for the token's rights, the PRO account and the quota before sending.
    :param backup_to: folder or object storage URI in which to keep the previous original (templated).
    :param require_backup: send nothing if that backup cannot be had.
    :param upload_roots: folders or URIs that the file must come from, besides those of the connection (templated).
    :param ipernity_conn_id: the connection (templated).
    :return: ``outcome``, ``doc_id``, ``ticket``, ``new_doc_id``, ``filename``, ``bytes``, ``md5``, ``verified_by``,
        ``url``, ``backup``, ``reason``; each also under its own key: ``replace.output["ticket"]``.
    """

    template_fields: Sequence[str] = (
        "doc_id",
        "file",
        "file_conn_id",
        "filename",
        "backup_to",
        "upload_roots",
        "if_unchanged",
        "plan_only",  # what `dry_run` is kept as
        "verify",
        "on_new_document",
        "on_uncertain",
        "force",
        "ipernity_conn_id",
    )
    operator_extra_links = (DocumentLink(),)

    def __init__(
        self,
        *,
        doc_id: str | int | XComArg,
        file: str | Path | ObjectStoragePath | XComArg,
        file_conn_id: str | None = None,
        filename: str | None = None,
        wait_for_completion: bool = True,
        asynchronous: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: Seconds = 30.0,
        timeout: Seconds = 3600.0,
        if_unchanged: IfUnchanged | str | XComArg = "succeed",
        dry_run: bool | str | XComArg = False,
        verify: Verify | str | XComArg = "changed",
        on_new_document: OnNewDocument | str | XComArg = "fail",
        on_uncertain: OnUncertain | str | XComArg = "fail",
        resend_grace: Seconds = 600.0,
        force: bool | str | XComArg = False,
        check_account: bool = True,
        backup_to: str | Path | ObjectStoragePath | None = None,
        require_backup: bool = True,
        upload_roots: Sequence[str] | None = None,
        ipernity_conn_id: str = IpernityHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.doc_id = doc_id
        self.file = file
        self.file_conn_id = file_conn_id
        self.filename = filename
        self.wait_for_completion = require_flag("wait_for_completion", wait_for_completion)
        self.asynchronous = require_flag("asynchronous", asynchronous)
        self.deferrable = require_flag("deferrable", deferrable)
        self.poll_interval = require_seconds("poll_interval", poll_interval, positive=True)
        self.timeout = require_seconds("timeout", timeout)
        self.if_unchanged = if_unchanged
        self.plan_only = dry_run  # `dry_run` is a method of every operator
        self.verify = verify
        self.on_new_document = on_new_document
        self.on_uncertain = on_uncertain
        self.resend_grace = require_seconds("resend_grace", resend_grace)
        self.force = force
        self.check_account = require_flag("check_account", check_account)
        self.backup_to = backup_to
        self.require_backup = require_flag("require_backup", require_backup)
        self.upload_roots = upload_roots
        self.ipernity_conn_id = ipernity_conn_id
        check_flag("dry_run", dry_run)
        check_flag("force", force)
        for name in ("if_unchanged", "verify", "on_new_document", "on_uncertain"):
            check_choice(name, getattr(self, name))

    def execute(self, context: Context) -> dict[str, Any]:
        """:raises AirflowFailException: for what no retry can mend; other errors are left to Airflow's retries."""
        from ipernity_provider.hooks.failures import readable_failures

        with readable_failures(self.log, context, xcoms=self.failure_xcoms):
            return self._replace(context).as_dict()

    def execute_complete(
        self, context: Context, event: Any, entry: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Go on where the trigger has waited: prove what the upload has led to.

        :param entry: the upload under way, where an older version has deferred the task; otherwise it is in the event.
        """
        from ipernity_provider.hooks.failures import readable_failures
        from ipernity_provider.operators.journal import journal_of
        from ipernity_provider.replacement import Entry, complete
        from ipernity_provider.replacement.order import NotFinished
        from ipernity_provider.triggers.deadline import Deadline
        from ipernity_provider.triggers.events import read_event, reading

        with readable_failures(self.log, context, xcoms=self.failure_xcoms):
            tickets, timed_out, state = read_event(event)
            with reading(event):
                begun = Entry.from_json(entry or state["entry"])
                deadline = Deadline.from_json(state.get("deadline"), self.timeout)
            if not tickets or timed_out:
                raise NotFinished.after(str(deadline), str(begun.ticket))
            with self.hook.get_conn() as client:
                return complete(client, self._demand(), journal_of(context), begun, tickets[0]).as_dict()

    def _replace(self, context: Context) -> Result:
        from ipernity_provider.operators.journal import journal_of
        from ipernity_provider.replacement import Result, begin, complete
        from ipernity_provider.replacement.progress import ProgressLog
        from ipernity_provider.replacement.send import Stoppable

        journal = journal_of(context)
        order = self._order(context, journal)
        self.given_up = threading.Event()
        with self.hook.get_conn() as client:
            begun = begin(client, order, journal, Stoppable(ProgressLog(), self.given_up))
            # Known now, so that the link also works where the task fails later on.
            context["ti"].xcom_push(key="url", value=begun.url)
            if isinstance(begun, Result):
                return self._unless_skipped(begun)
            if not self.wait_for_completion:
                return begun.sent()
            return complete(client, order, journal, begun, self._settled(context, client, begun))

    def _settled(self, context: Context, client: IpernityClient, begun: Entry) -> Ticket | None:
        """The ticket, no longer pending; None where there is none to wait for.

        :raises TaskDeferred: it is pending, and the triggerer is to wait for it.
        """
        from ipernity_provider.replacement.settle import look, settle
        from ipernity_provider.triggers.deadline import Deadline

        ticket = begun.waiting_for
        if not ticket:
            return None
        if not self.deferrable:
            return settle(client, ticket, poll_interval=self.poll_interval, timeout=self.timeout)
        state = look(client, ticket)
        if state.pending:
            self.wait_in_triggerer(
                {ticket: begun.doc_id},
                deadline=Deadline.of(context, self.timeout, self.execution_timeout),
                state={"entry": begun.to_json()},
            )
        return state

    def _order(self, context: Context, journal: Journal) -> Order:
        from ipernity_provider.hooks.files import as_filename, as_path
        from ipernity_provider.replacement import MemoryJournal, Order

        retried = isinstance(journal, MemoryJournal) and getattr(context["ti"], "try_number", 1) > 1
        return Order(
            doc_id=self.hook.document_id(self.doc_id),
            file=as_path(self.file, self.file_conn_id),
            filename=as_filename(self.filename),
            dry_run=read_flag("dry_run", self.plan_only),
            asynchronous=self.asynchronous,
            maybe_sent_since=_start_of_run(context) if retried else None,
            **self.asked(context),
        )

    def _demand(self) -> Demand:
        from ipernity_provider.replacement import Demand

        # Rendered by now, and checked there.
        verify, on_new_document = cast("Verify", self.verify), cast("OnNewDocument", self.on_new_document)
        return Demand(verify=verify, on_new_document=on_new_document)

    def _unless_skipped(self, result: Result) -> Result:
        if result.outcome == "unchanged" and self.if_unchanged == "skip":
            from airflow.sdk.exceptions import AirflowSkipException

            raise AirflowSkipException(result.reason)
        return result


def _start_of_run(context: Context) -> float | None:
    start = getattr(context.get("dag_run"), "start_date", None)
    return start.timestamp() if start else None
