"""Replacing in a task of one's own: what the hook's methods do, with the journal of the task."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

from ipernity_provider.assets.changes import CHANGED, Change
from ipernity_provider.assets.lineage import report_to_hook_lineage
from ipernity_provider.bulk.journal import BulkJournal
from ipernity_provider.bulk.report import describe, require_success, summarize_rows, write_report
from ipernity_provider.bulk.rows import Row
from ipernity_provider.bulk.runner import BulkReplacement
from ipernity_provider.bulk.scheduler import OnError
from ipernity_provider.bulk.steps import BulkOptions
from ipernity_provider.hooks.failures import current_context, readable_failures
from ipernity_provider.hooks.files import as_filename, as_path
from ipernity_provider.hooks.manifests import read_manifest, require_report_elsewhere
from ipernity_provider.hooks.parameters import (
    ParameterError,
    require_count,
    require_flag,
    require_seconds,
)
from ipernity_provider.replacement.progress import ProgressLog
from ipernity_provider.replacement.record import MemoryJournal
from ipernity_provider.replacement.replace import Replacement
from ipernity_provider.replacement.request import Intent, ReplaceOptions, ReplaceRequest
from ipernity_provider.state import bulk_journal_of, intent_of, journal_of
from ipernity_provider.text import display, log_lines

if TYPE_CHECKING:
    from ipernity_provider.hooks.ipernity import IpernityHook

_FLAGS = frozenset({"asynchronous", "check_account", "dry_run"})
_DURATIONS = frozenset({"poll_interval", "proof_seconds", "resend_grace", "timeout"})


def replace_file(
    hook: IpernityHook,
    doc_id: Any,
    file: Any,
    filename: str | None,
    file_conn_id: str | None,
    *,
    options: dict[str, Any],
    journal: bool,
) -> dict[str, Any]:
    """See :meth:`~ipernity_provider.hooks.ipernity.IpernityHook.replace_file`."""
    with readable_failures(hook.log), hook.get_conn() as client:
        context = current_context() if require_flag("journal", journal) else None
        how = hook.replace_options(file_conn_id, **_checked(options))
        request = ReplaceRequest(
            doc_id=doc_id,
            file=as_path(file, file_conn_id),
            filename=as_filename(filename),
            base_url=hook.settings.base_url,
        )
        replacement = Replacement(
            client,
            request,
            how,
            journal_of(context, request.doc_id) if context else MemoryJournal(),
            intent_of(context) if context else Intent(),
            progress=ProgressLog(),
            memory=hook.memory(how),
        )
        with _set_when_stopped(replacement.cancelled):
            result = replacement.run()
        if result.outcome in CHANGED:
            change = Change.of_result(result, replacement.proven, file)
            report_to_hook_lineage(hook, [change])
        return result.as_dict()


def replace_files(
    hook: IpernityHook,
    manifest: Any,
    report_to: Any,
    file_conn_id: str | None,
    *,
    on_error: OnError,
    max_parallel_uploads: int,
    options: dict[str, Any],
    journal: bool,
) -> dict[str, Any]:
    """See :meth:`~ipernity_provider.hooks.ipernity.IpernityHook.replace_files`."""
    place = (display(str(report_to).strip()) or None) if report_to else None

    def report(rows: Sequence[Row]) -> None:
        if place:
            write_report(as_path(report_to, file_conn_id), rows)

    with readable_failures(hook.log), hook.get_conn() as client:
        context = current_context() if require_flag("journal", journal) else None
        known = bulk_journal_of(context) if context else BulkJournal()
        how = BulkOptions(
            each=hook.replace_options(file_conn_id, **_checked(options)),
            open_path=partial(as_path, conn_id=file_conn_id),
            on_error=on_error,
            max_parallel_uploads=require_count("max_parallel_uploads", max_parallel_uploads, 1, 16),
        )
        lines = read_manifest(manifest, file_conn_id, hook.settings.base_url)
        require_report_elsewhere(report_to, file_conn_id, manifest, lines)
        cancelled = threading.Event()
        bulk = BulkReplacement(
            client,
            how,
            known,
            intent=intent_of(context) if context else Intent(),
            cancelled=cancelled,
            memory=hook.memory(how.each),
        )
        bulk.inspect(lines)
        report(bulk.rows)
        if not how.each.dry_run:
            bulk.require_possible()
            try:
                with _set_when_stopped(cancelled):
                    bulk.run(timeout=how.each.timeout)
            finally:
                report(bulk.rows)
            require_success(bulk.rows, bulk.stop, bulk.last_error, place)
            changed = [Change.of_row(row) for row in bulk.rows if row.status in CHANGED]
            if changed:
                report_to_hook_lineage(hook, changed)
        log_lines(hook.log, logging.INFO, describe(bulk.rows, report=place))
        return summarize_rows(bulk.rows, place)


@contextmanager
def _set_when_stopped(cancelled: threading.Event) -> Iterator[None]:
    """Set an event as soon as Airflow stops the task in which the block runs, if it is in one.

    Airflow calls a task's ``on_kill`` then; a ``@task`` cannot define one.
    """
    context = current_context()
    task: Any = context.get("task") if context else None
    if task is None:
        yield
        return
    own = task.on_kill

    def on_kill() -> None:
        cancelled.set()
        own()

    task.on_kill = on_kill
    try:
        yield
    finally:
        task.on_kill = own


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with each flag and duration of its own type.

    :raises ParameterError: one is not, or there is no such option.
    """
    known = {field.name for field in fields(ReplaceOptions)} - {
        "upload_roots",
        "makes_new_document",
    }
    if unknown := sorted(options.keys() - known):
        raise ParameterError(f"There is no parameter {', '.join(unknown)}. Nothing was sent.")
    checked = dict(options)
    for name in options.keys() & _FLAGS:
        checked[name] = require_flag(name, options[name])
    for name in options.keys() & _DURATIONS:
        positive = name == "poll_interval"
        checked[name] = require_seconds(name, options[name], positive=positive)
    return checked
