"""The operators: ReplaceFileOperator for one document, and ReplaceFilesOperator for many."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ipernity_provider.hooks.parameters import require_flag
from ipernity_provider.links.ipernity import DocumentLink, NewDocumentLink
from ipernity_provider.operators.base import ReplacingOperator
from ipernity_provider.operators.batch import ReplaceFilesOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context, ObjectStoragePath, XComArg

    from ipernity_provider.api.client import IpernityClient
    from ipernity_provider.assets.changes import Change
    from ipernity_provider.replacement.record import UploadRecord
    from ipernity_provider.replacement.replace import Replacement
    from ipernity_provider.replacement.request import Result

__all__ = ["ReplaceFileOperator", "ReplaceFilesOperator"]


class ReplaceFileOperator(ReplacingOperator):
    """Replaces the file behind a document on ipernity.com: streamed, verified, never twice.

    A green task means that the document now carries these bytes. The service sometimes creates a
    *new* document instead of replacing; that fails the task, with both documents named. A retry
    first finds out what an earlier try has sent.

    :param doc_id: the document's number, e.g. ``5412``, or the address of its page (templated).
    :param file: the new file: a local path, a URI (``file://``, ``s3://``, ``gs://``, ``abfs://``,
        or what else Airflow has a storage for), or an ``ObjectStoragePath`` (templated). The worker
        streams it; nothing is put on its disk.
    :param filename: the name that the service gets; the file's own by default (templated).
    :param wait_for_completion: wait until the service has processed the file, and verify. If False
        the task ends with the outcome ``sent`` and a ticket for
        :class:`~ipernity_provider.sensors.ipernity.TicketSensor`.
    :param kwargs: those of :class:`~ipernity_provider.operators.base.ReplacingOperator`:
        ``file_conn_id``, ``deferrable``, ``poll_interval``, ``timeout``, ``if_unchanged``,
        ``dry_run``, ``proof``, ``on_new_document``, ``on_uncertain``, ``backup_to``,
        ``ipernity_conn_id``; and those of every operator.
    :return: ``outcome``, ``doc_id``, ``ticket``, ``new_doc_id``, ``filename``, ``bytes``, ``md5``,
        ``proof``, ``url``, ``backup``, ``reason``, ``new_url``, ``transferred``,
        ``not_transferred``; each also under its own key: ``replace.output["ticket"]``.
    """

    template_fields: Sequence[str] = (
        "doc_id",
        "file",
        "filename",
        *ReplacingOperator.template_fields,
    )
    operator_extra_links = (DocumentLink(), NewDocumentLink())

    #: What the task has changed, once that is proven.
    change: Change | None = None

    def __init__(
        self,
        *,
        doc_id: str | int | XComArg,
        file: str | Path | ObjectStoragePath | XComArg,
        filename: str | None = None,
        wait_for_completion: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.doc_id = doc_id
        self.file = file
        self.filename = filename
        self.wait_for_completion = require_flag("wait_for_completion", wait_for_completion)

    def execute(self, context: Context) -> dict[str, Any]:
        """Replace the file.

        :raises AirflowFailException: for what a retry cannot mend; other errors are left to
            Airflow's retries.
        """
        from ipernity_provider.hooks.failures import readable_failures

        with (
            readable_failures(self.log, context, xcoms=self.failure_xcoms),
            self.hook.get_conn() as client,
        ):
            replacement = self._replacement(context, client)
            return self._done(context, replacement, self._run(context, replacement))

    def execute_complete(
        self, context: Context, event: Any, entry: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Continue where the trigger has waited: prove what the upload has led to.

        :param entry: the upload, where an older version has deferred the task; otherwise it is in
            the event.
        """
        from ipernity_provider.hooks.failures import readable_failures
        from ipernity_provider.replacement.errors import NotFinished
        from ipernity_provider.replacement.record import UploadRecord
        from ipernity_provider.triggers.deadline import Deadline
        from ipernity_provider.triggers.events import read_event, reading

        with readable_failures(self.log, context, xcoms=self.failure_xcoms):
            tickets, timed_out, state = read_event(event)
            with reading(event):
                record = UploadRecord.from_json(entry or state.get("record") or state["entry"])
                deadline = Deadline.from_json(state.get("deadline"), self.timeout)
            if not tickets or timed_out:
                raise NotFinished.after(str(deadline), str(record.ticket))
            with self.hook.get_conn() as client:
                replacement = self._replacement(context, client, record)
                result = replacement.finish(record, tickets[0])
                if result is None:  # sent for an earlier run of a cleared task
                    replacement = self._replacement(context, client)
                    result = self._run(context, replacement)
                return self._done(context, replacement, result, state.get("file"))

    def changes(self) -> list[Change]:
        return [self.change] if self.change else []

    def _done(
        self, context: Context, replacement: Replacement, result: Result, file: str | None = None
    ) -> dict[str, Any]:
        """Say what has changed, and return the task's result.

        :param file: the URI of the file that was sent, where its name may have another value by
            now.
        """
        from ipernity_provider.assets.changes import CHANGED, Change

        if result.outcome in CHANGED:
            self.change = Change.of_result(result, replacement.proven, file or self.file)
            self.publish(context, [self.change], asdict(self.change))
        else:
            self.publish(context, [], {})
        return result.as_dict()

    def _replacement(
        self, context: Context, client: IpernityClient, sent: UploadRecord | None = None
    ) -> Replacement:
        """Return the task's replacement.

        :param sent: an upload that is to be finished: its file is not needed any more, and the name
            of the file may have another value by now.
        """
        from ipernity_provider.hooks.files import as_filename, as_path
        from ipernity_provider.replacement.progress import ProgressLog
        from ipernity_provider.replacement.replace import Replacement
        from ipernity_provider.replacement.request import ReplaceRequest
        from ipernity_provider.state import intent_of, journal_of

        request = ReplaceRequest(
            doc_id=sent.doc_id if sent else self.doc_id,
            file=None if sent else as_path(self.file, self.file_conn_id),
            filename=None if sent else as_filename(self.filename),
            base_url=self.hook.settings.base_url,
        )
        self.cancelled = threading.Event()
        options = self.options()
        return Replacement(
            client,
            request,
            options,
            journal_of(context),
            intent_of(context),
            progress=ProgressLog(),
            cancelled=self.cancelled,
            memory=self.hook.memory(options),
        )

    def _run(self, context: Context, replacement: Replacement) -> Result:
        """Send, wait and prove.

        :raises TaskDeferred: its ticket is pending, and the triggerer is to wait for it.
        """
        from ipernity_provider.assets.changes import file_uri
        from ipernity_provider.replacement.request import Result
        from ipernity_provider.triggers.deadline import Deadline

        while True:
            started = replacement.start()
            # Known now, so that the link also works where the task fails later on.
            context["ti"].xcom_push(key="url", value=started.url)
            if isinstance(started, Result):
                if started.outcome == "unchanged" and self.if_unchanged == "skip":
                    from ipernity_provider.airflow_compat import AirflowSkipException

                    raise AirflowSkipException(started.reason)
                return started
            ticket = None
            if started.pending_ticket:
                if not self.wait_for_completion:
                    return started.sent()
                if self.deferrable:
                    ticket = replacement.check_ticket(started.pending_ticket)
                    if ticket.pending:
                        self.wait_in_triggerer(
                            {ticket.id: started.doc_id},
                            deadline=Deadline.of(context, self.timeout, self.execution_timeout),
                            state={"record": started.to_json(), "file": file_uri(self.file)},
                        )
                else:
                    ticket = replacement.wait(started)
            if result := replacement.finish(started, ticket):
                return result
