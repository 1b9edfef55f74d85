"""ReplaceFilesOperator: the files behind many documents, replaced by one Airflow task."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ipernity_provider.hooks.parameters import check_choice, require_count
from ipernity_provider.links.ipernity import ReportLink
from ipernity_provider.operators.base import ReplacingOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context, ObjectStoragePath, XComArg

    from ipernity_provider.api.client import IpernityClient
    from ipernity_provider.assets.changes import Change
    from ipernity_provider.bulk.journal import BulkJournal
    from ipernity_provider.bulk.rows import Row
    from ipernity_provider.bulk.runner import BulkReplacement
    from ipernity_provider.bulk.scheduler import OnError
    from ipernity_provider.triggers.deadline import Deadline


class ReplaceFilesOperator(ReplacingOperator):
    """Replace the files behind many documents, listed in a manifest.

    Green means that every document of the manifest carries its file now. Otherwise the task fails
    with a summary; a retry continues where this try ended and sends nothing twice. All files and
    documents are checked before the first byte is sent. One upload, the canary, is then proven
    before the others follow, a few at a time.

    The other parameters are those of
    :class:`~ipernity_provider.operators.ipernity.ReplaceFileOperator`.

    :param manifest: a path or URI of a CSV, JSON or JSON Lines file with ``doc_id`` (number or
        page), ``file`` and perhaps ``filename`` in each row, or a list of such objects or of pairs,
        e.g. from an XCom (templated).
    :param on_error: ``stop`` sends nothing more after the first row that cannot be replaced, and
        nothing at all if that is known before; ``continue`` goes on with the others. After the
        first *new* document that the service creates instead of replacing, both stop if
        ``on_new_document`` is ``fail`` (templated).
    :param max_parallel_uploads: how many files are sent at the same time; the service is run by
        volunteers.
    :param report_to: file for a report of what has become of each row, one JSON object a line:
        ``doc_id``, ``file``, ``filename``, ``where``, ``outcome``, ``md5_before``, ``md5``,
        ``md5_after``, ``backup``, ``bytes``, ``ticket``, ``new_doc_id``, ``new_url``, ``proof``,
        ``transferred``, ``not_transferred``, ``foreseen``, ``error``. A link
        stays; its file is replaced (templated).
    :return: ``total`` and how many came to what: ``replaced``, ``unchanged``, ``new_document``,
        ``transferred``, ``refused``, ``failed``, ``uncertain``, ``sent``, ``not_sent``,
        ``planned``; ``bytes_sent``, and ``report``: where the report is.
    """

    template_fields: Sequence[str] = (
        "manifest",
        "report_to",
        "on_error",
        *ReplacingOperator.template_fields,
    )

    operator_extra_links = (ReportLink(),)

    #: What has become of each row, as last reported.
    rows_so_far: Sequence[Row] = ()

    def __init__(
        self,
        *,
        manifest: str | Path | ObjectStoragePath | XComArg | Sequence[Any],
        on_error: OnError | str | XComArg = "stop",
        max_parallel_uploads: int | str = 2,
        report_to: str | Path | ObjectStoragePath | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.on_error = on_error
        self.max_parallel_uploads = require_count(
            "max_parallel_uploads", max_parallel_uploads, 1, 16
        )
        self.report_to = report_to
        check_choice("on_error", on_error)

    def failure_xcoms(self, error: BaseException) -> dict[str, Any]:
        """Return the summary as well, as far as the rows have come: whole, and each of its keys."""
        left = super().failure_xcoms(error)
        if left and self.rows_so_far:
            from ipernity_provider.bulk.report import summarize_rows

            summary = summarize_rows(self.rows_so_far, self._report_place)
            left |= {**summary, "return_value": summary}
        return left

    def execute(self, context: Context) -> dict[str, Any]:
        """Replace the files.

        :raises AirflowFailException: for what a retry cannot mend; other errors are left to
            Airflow's retries.
        """
        from ipernity_provider.bulk.report import describe, summarize_rows
        from ipernity_provider.hooks.failures import readable_failures
        from ipernity_provider.hooks.manifests import read_manifest, require_report_elsewhere
        from ipernity_provider.state import bulk_journal_of
        from ipernity_provider.text import log_lines

        with readable_failures(self.log, context, xcoms=self.failure_xcoms):
            journal = bulk_journal_of(context)
            with self.hook.get_conn() as client:
                bulk = self._bulk(context, client, journal)
                base_url = self.hook.settings.base_url
                lines = read_manifest(self.manifest, self.file_conn_id, base_url)
                require_report_elsewhere(self.report_to, self.file_conn_id, self.manifest, lines)
                bulk.inspect(lines)
                # Now, so that a place that cannot be written to is known before anything is sent.
                self._report(bulk.rows)
                if self._report_place:  # so that the link works, however the task ends
                    context["ti"].xcom_push(key="report", value=self._report_place)
                if bulk.options.each.dry_run:
                    place = self._report_place
                    log_lines(self.log, logging.INFO, describe(bulk.rows, report=place))
                    self._publish(context)
                    return summarize_rows(bulk.rows, place)
                bulk.require_possible()
                return self._run(context, bulk, may_pause=journal.durable)

    def execute_complete(
        self,
        context: Context,
        event: Any,
        deadline: float | None = None,
        stopped: str | None = None,
        trouble: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Continue where the trigger has waited: what it saw is checked again, and proven.

        The other parameters are given where an older version has deferred the task; otherwise they
        are in the event.

        :param deadline: until when to wait in all, unix time.
        :param stopped: why nothing more is sent.
        :param trouble: the error for which some rows were left to a later try.
        """
        from ipernity_provider.hooks.failures import readable_failures
        from ipernity_provider.state import bulk_journal_of
        from ipernity_provider.triggers.deadline import Deadline
        from ipernity_provider.triggers.events import read_event, reading

        with readable_failures(self.log, context, xcoms=self.failure_xcoms):
            _, timed_out, state = read_event(event)
            state = state or {"deadline": deadline, "stopped": stopped, "trouble": trouble}
            with self.hook.get_conn() as client:
                bulk = self._bulk(context, client, bulk_journal_of(context))
                with reading(event):
                    until = Deadline.from_json(state["deadline"], self.timeout)
                    bulk.resume(state)
                return self._run(
                    context, bulk, deadline=until, may_pause=not timed_out, timed_out=timed_out
                )

    def _run(
        self,
        context: Context,
        bulk: BulkReplacement,
        *,
        may_pause: bool,
        deadline: Deadline | None = None,
        timed_out: bool = False,
    ) -> dict[str, Any]:
        """Send and prove; wait here, or in the triggerer."""
        from ipernity_provider.bulk.report import describe, require_success, summarize_rows
        from ipernity_provider.replacement.errors import NotFinished
        from ipernity_provider.text import log_lines
        from ipernity_provider.triggers.deadline import Deadline

        not_reported: Exception | None = None
        try:
            pending = bulk.run(
                timeout=0.0 if timed_out else self.timeout, may_pause=may_pause and self.deferrable
            )
        except NotFinished as error:
            limit = deadline or f"the timeout of {self.timeout:g} s"
            raise NotFinished(f"{error} The limit was {limit}.") from None
        finally:
            # What has become of the rows is reported, whatever becomes of the report.
            try:
                self._report(bulk.rows)
            except Exception as error:  # noqa: BLE001
                log_lines(self.log, logging.ERROR, str(error))
                not_reported = error
        if pending:
            # Nothing is left that could be stopped: one resumption is enough, when all are
            # finished.
            self.wait_in_triggerer(
                cast("dict[str, str | None]", pending),
                deadline=deadline or Deadline.of(context, self.timeout, self.execution_timeout),
                until_all=True,
                state=bulk.state,
            )
        place = None if not_reported else self._report_place
        if bulk.last_error:
            log_lines(self.log, logging.WARNING, describe(bulk.rows, bulk.stop, place))
        require_success(bulk.rows, bulk.stop, bulk.last_error, place)
        if not_reported:
            raise not_reported
        log_lines(self.log, logging.INFO, describe(bulk.rows, report=place))
        self._publish(context)
        return summarize_rows(bulk.rows, self._report_place)

    def changes(self) -> list[Change]:
        from ipernity_provider.assets.changes import CHANGED, Change

        return [Change.of_row(row) for row in self.rows_so_far if row.status in CHANGED]

    def _publish(self, context: Context) -> None:
        from ipernity_provider.assets.changes import summarize_changes

        changes = self.changes()
        self.publish(context, changes, summarize_changes(changes, self._report_place))

    def _bulk(
        self, context: Context, client: IpernityClient, journal: BulkJournal
    ) -> BulkReplacement:
        from ipernity_provider.bulk.runner import BulkReplacement
        from ipernity_provider.bulk.steps import BulkOptions
        from ipernity_provider.hooks.files import as_path
        from ipernity_provider.state import intent_of

        options = BulkOptions(
            each=self.options(),
            open_path=partial(as_path, conn_id=self.file_conn_id),
            on_error=cast("OnError", self.on_error),  # rendered by now, and checked there
            max_parallel_uploads=self.max_parallel_uploads,
        )
        self.cancelled = threading.Event()
        return BulkReplacement(
            client,
            options,
            journal,
            intent=intent_of(context),
            cancelled=self.cancelled,
            memory=self.hook.memory(options.each),
        )

    def _report(self, rows: Sequence[Row]) -> None:
        from ipernity_provider.bulk.report import write_report
        from ipernity_provider.hooks.files import as_path

        self.rows_so_far = rows
        if self._report_place:
            write_report(as_path(self.report_to, self.file_conn_id), rows)

    @property
    def _report_place(self) -> str | None:
        from ipernity_provider.text import display

        return display(str(self.report_to).strip()) or None if self.report_to else None
