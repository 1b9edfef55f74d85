"""ReplaceFilesOperator: the files behind many documents, replaced by one Airflow task."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import conf

from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.parameters import (
    Seconds,
    check_choice,
    check_flag,
    read_flag,
    require_count,
    require_flag,
    require_seconds,
)
from ipernity_provider.operators.base import ReplacingOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context, ObjectStoragePath, XComArg

    from ipernity_provider.api.client import IpernityClient
    from ipernity_provider.replacement.batch import BatchJournal, BatchOrder, Item
    from ipernity_provider.replacement.batch.order import OnError
    from ipernity_provider.replacement.batch.plan import BatchPlan
    from ipernity_provider.replacement.manifest import Line
    from ipernity_provider.replacement.order import IfUnchanged, OnNewDocument, OnUncertain, Verify
    from ipernity_provider.triggers.deadline import Deadline


class ReplaceFilesOperator(ReplacingOperator):
    """Replaces the files behind many documents, by a manifest: each streamed, verified, never twice.

    Everything is looked at before the first byte is sent. The first upload then goes ahead alone and is proven before
    the others follow, a few at a time. Green means that every document of the manifest carries its file now; otherwise
    the task fails with a summary, and what was done is not done again by a retry, which goes on where this one ended.

    :param manifest: what to replace by what (templated): a path or URI of a CSV, JSON or JSON Lines file with ``doc_id``
        (number or page), ``file`` and perhaps ``filename`` in each row, or a list of such objects or of pairs, e.g. from an XCom.
    :param on_error: ``stop`` sends nothing more after the first item that cannot be replaced, and nothing at all if that
        is known beforehand; ``continue`` goes on with the others. After the first *new* document the service makes
        instead of replacing, both stop, unless ``on_new_document="keep"`` (templated).
    :param max_parallel_uploads: how many files are sent at the same time; the service is run by volunteers.
    :param report_to: file in which to tell what became of each item, one JSON object a line (templated):
        ``doc_id``, ``file``, ``filename``, ``where``, ``outcome``, ``md5_before``, ``md5``, ``md5_after``, ``backup``,
        ``bytes``, ``ticket``, ``new_doc_id``, ``verified_by``, ``error``. A link stays; its file is replaced.
    :param file_conn_id: the connection for object storage URIs that name none, in ``manifest``, in its rows, and for
        ``report_to`` and ``backup_to`` (templated).
    :param deferrable: wait in the triggerer, without a worker slot, once everything is sent. Needs Airflow 3.3.
    :param poll_interval: longest pause between two looks at a ticket, in seconds or as timedelta.
    :param timeout: how long to wait for the service once everything is sent, in seconds or as timedelta. A
        deferred task also stops waiting at the task's ``execution_timeout``.
    :param dry_run: plan only, nothing is sent; ``planned`` in the summary counts what would be (templated).
    :param if_unchanged: ``succeed`` (outcome ``unchanged``) or ``replace`` where a document carries these bytes already
        (templated).
    :param verify: least proof that is accepted, as for
        :class:`~ipernity_provider.operators.ipernity.ReplaceFileOperator`, and so are ``on_new_document``,
        ``on_uncertain``, ``resend_grace``, ``force``, ``check_account``, ``backup_to``, ``require_backup`` and
        ``upload_roots``.
    :param ipernity_conn_id: the connection (templated).
    :return: ``total`` and how many came to what: ``replaced``, ``unchanged``, ``new_document``, ``refused``, ``failed``,
        ``uncertain``, ``sent``, ``not_sent``, ``planned``; ``bytes_sent``, and ``report``: where the report is.
    """

    template_fields: Sequence[str] = (
        "manifest",
        "report_to",
        "file_conn_id",
        "backup_to",
        "upload_roots",
        "on_error",
        "plan_only",  # what `dry_run` is kept as
        "if_unchanged",
        "verify",
        "on_new_document",
        "on_uncertain",
        "force",
        "ipernity_conn_id",
    )

    #: What became of each item, as last reported.
    items_so_far: Sequence[Item] = ()

    def __init__(
        self,
        *,
        manifest: str | Path | ObjectStoragePath | XComArg | Sequence[Any],
        on_error: OnError | str | XComArg = "stop",
        max_parallel_uploads: int | str = 2,
        report_to: str | Path | ObjectStoragePath | None = None,
        file_conn_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: Seconds = 30.0,
        timeout: Seconds = 3600.0,
        dry_run: bool | str | XComArg = False,
        if_unchanged: IfUnchanged | str | XComArg = "succeed",
        verify: Verify | str | XComArg = "changed",
        on_new_document: OnNewDocument | str | XComArg = "fail",
        on_uncertain: OnUncertain | str | XComArg = "fail",
        resend_grace: Seconds = 600.0,
        force: bool | str | XComArg = False,
        check_account: bool = True,
        backup_to: str | Path | ObjectStoragePath | None = None,
        require_backup: bool = True,
        upload_roots: Sequence[str] | str | None = None,
        ipernity_conn_id: str = IpernityHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.on_error = on_error
        self.max_parallel_uploads = require_count("max_parallel_uploads", max_parallel_uploads, 1, 16)
        self.report_to = report_to
        self.file_conn_id = file_conn_id
        self.deferrable = require_flag("deferrable", deferrable)
        self.poll_interval = require_seconds("poll_interval", poll_interval, positive=True)
        self.timeout = require_seconds("timeout", timeout)
        self.plan_only = dry_run  # `dry_run` is a method of every operator
        self.if_unchanged = if_unchanged
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
        for name in ("on_error", "if_unchanged", "verify", "on_new_document", "on_uncertain"):
            check_choice(name, getattr(self, name))

    def failure_xcoms(self, error: BaseException) -> dict[str, Any]:
        """Return the summary as well, as far as the batch has come: whole, and each of its keys."""
        left = super().failure_xcoms(error)
        if left and self.items_so_far:
            summary = self._summary(self.items_so_far)
            left |= {**summary, "return_value": summary}
        return left

    def execute(self, context: Context) -> dict[str, Any]:
        """:raises AirflowFailException: for what no retry can mend; other errors are left to Airflow's retries."""
        from ipernity_provider.api.sentences import log_lines
        from ipernity_provider.hooks.failures import readable_failures
        from ipernity_provider.operators.journal import batch_journal_of
        from ipernity_provider.replacement.batch import (
            MemoryBatchJournal,
            in_short,
            plan_all,
            require_possible,
        )
        from ipernity_provider.replacement.order import Refused

        self.given_up = threading.Event()
        with readable_failures(self.log, context, xcoms=self.failure_xcoms):
            journal = batch_journal_of(context)
            if isinstance(journal, MemoryBatchJournal) and getattr(context["ti"], "try_number", 1) > 1:
                raise Refused(
                    "Before Airflow 3.3 nothing tells what an earlier try has sent of a batch: look at its report, then "
                    "start a new run, which leaves alone what is there already. Nothing was sent."
                )
            order = self._order(context)
            plan_only = read_flag("dry_run", self.plan_only)
            lines = self._lines()
            with self.hook.get_conn() as client:
                plan = plan_all(client, order, journal, lines)
                # Now, so that a place that cannot be written to is known before anything is sent.
                self._report(plan.items)
                if plan_only:
                    log_lines(self.log, logging.INFO, in_short(plan.items, report=self._report_place))
                    return self._summary(plan.items)
                stopped = require_possible(plan, order)
                return self._carry_out(context, client, order, journal, plan, stopped=stopped)

    def execute_complete(
        self,
        context: Context,
        event: Any,
        deadline: float | None = None,
        stopped: str | None = None,
        trouble: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Go on where the trigger has waited: what it saw is asked again, and proven.

        The other parameters are given where an older version has deferred the task; otherwise they are in the event.

        :param deadline: until when to wait in all, in unix seconds.
        :param stopped: why nothing more is to be sent.
        :param trouble: the error for which some was left to a later try.
        """
        from ipernity_provider.api.errors import TransientError
        from ipernity_provider.hooks.failures import readable_failures
        from ipernity_provider.operators.journal import batch_journal_of
        from ipernity_provider.replacement.batch import plan_again
        from ipernity_provider.triggers.deadline import Deadline
        from ipernity_provider.triggers.events import read_event, reading

        with readable_failures(self.log, context, xcoms=self.failure_xcoms):
            _, timed_out, state = read_event(event)
            state = state or {"deadline": deadline, "stopped": stopped, "trouble": trouble}
            with reading(event):
                until = Deadline.from_json(state["deadline"], self.timeout)
                left_to_a_retry = TransientError.from_json(state["trouble"]) if state["trouble"] else None
                if not isinstance(state["stopped"], str):
                    raise TypeError  # without the reason to stop, more would be sent
            journal = batch_journal_of(context)
            order = self._order(context)
            with self.hook.get_conn() as client:
                plan = plan_again(journal, left_to_a_retry)
                return self._carry_out(
                    context,
                    client,
                    order,
                    journal,
                    plan,
                    stopped=state["stopped"],
                    deadline=until,
                    timed_out=timed_out,
                )

    def _carry_out(
        self,
        context: Context,
        client: IpernityClient,
        order: BatchOrder,
        journal: BatchJournal,
        plan: BatchPlan,
        *,
        stopped: str,
        deadline: Deadline | None = None,
        timed_out: bool = False,
    ) -> dict[str, Any]:
        from ipernity_provider.api.sentences import log_lines
        from ipernity_provider.replacement.batch import Batch, MemoryBatchJournal, in_short, require_well
        from ipernity_provider.replacement.order import NotFinished
        from ipernity_provider.triggers.deadline import Deadline

        hand_over = self.deferrable and not timed_out and not isinstance(journal, MemoryBatchJournal)
        timeout = 0.0 if timed_out else self.timeout
        batch = Batch(
            client,
            order,
            journal,
            plan,
            poll_interval=self.poll_interval,
            stopped=stopped,
            given_up=self.given_up,
        )
        unreported: Exception | None = None
        try:
            waiting = batch.run(timeout, hand_over=hand_over)
        except NotFinished as error:
            limit = deadline or f"the timeout of {self.timeout:g} s"
            raise NotFinished(f"{error} The limit was {limit}.") from None
        finally:
            # What became of the batch is to be told, whatever becomes of its report.
            try:
                self._report(batch.items)
            except Exception as error:  # noqa: BLE001
                log_lines(self.log, logging.ERROR, str(error))
                unreported = error
        if waiting:
            # Nothing is left that could be stopped: one resumption is enough, when all are settled.
            trouble = batch.trouble.to_json() if batch.trouble else None
            self.wait_in_triggerer(
                waiting.tickets,
                deadline=deadline or Deadline.of(context, self.timeout, self.execution_timeout),
                until_all=True,
                state={"stopped": batch.stopped, "trouble": trouble},
            )
        if batch.trouble and not any(item.fate == "new_document" and not item.well for item in batch.items):
            log_lines(self.log, logging.WARNING, in_short(batch.items, batch.stopped, self._report_place))
            raise batch.trouble
        require_well(batch.items, batch.stopped, None if unreported else self._report_place)
        if unreported:
            raise unreported
        log_lines(self.log, logging.INFO, in_short(batch.items, report=self._report_place))
        return self._summary(batch.items)

    def _lines(self) -> list[Line]:
        """:raises Refused: with all that is wrong in the manifest."""
        from ipernity_provider.hooks.files import as_path, is_one_of
        from ipernity_provider.hooks.manifests import lines_of
        from ipernity_provider.replacement.order import Refused

        lines = lines_of(self.manifest, self.file_conn_id, self.hook.settings.base_url)
        read = {line.file for line in lines} | {str(self.manifest)}
        place = self._report_place
        if place and (place in read or is_one_of(as_path(self.report_to, self.file_conn_id), read)):
            raise Refused(
                f"report_to is {place}, which would overwrite the manifest or one of its files. Nothing was sent."
            )
        return lines

    def _order(self, context: Context) -> BatchOrder:
        from ipernity_provider.hooks.files import as_path
        from ipernity_provider.replacement.batch import BatchOrder

        return BatchOrder(
            open_path=partial(as_path, conn_id=self.file_conn_id),
            on_error=cast("OnError", self.on_error),  # rendered by now, and checked there
            max_parallel_uploads=self.max_parallel_uploads,
            **self.asked(context),
        )

    def _report(self, items: Sequence[Item]) -> None:
        from ipernity_provider.hooks.files import as_path
        from ipernity_provider.replacement.batch import write_report

        self.items_so_far = items
        if self._report_place:
            write_report(as_path(self.report_to, self.file_conn_id), items)

    def _summary(self, items: Sequence[Item]) -> dict[str, Any]:
        from ipernity_provider.replacement.batch import summary_of

        return summary_of(items, self._report_place)

    @property
    def _report_place(self) -> str | None:
        from ipernity_provider.api.storage import shown

        return shown(str(self.report_to).strip()) or None if self.report_to else None
