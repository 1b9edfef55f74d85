"""``replace``: one replacement without a DAG, planned, confirmed, and proven."""

from __future__ import annotations

from argparse import Namespace
from contextlib import AbstractContextManager, suppress
from dataclasses import replace as with_changes
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from ipernity_provider.api.details import get_details
from ipernity_provider.api.errors import IpernityError, PermanentError, TransientError
from ipernity_provider.cli import metastore
from ipernity_provider.cli.errors import CommandFailed, exit_on_error
from ipernity_provider.cli.journal import FileJournal, open_journal
from ipernity_provider.cli.progress import progress_bar
from ipernity_provider.cli.rows import to_json, use_utf8
from ipernity_provider.cli.terminal import confirm, say
from ipernity_provider.files.checksums import SourceFile
from ipernity_provider.hooks.connection import ConnectionSettings
from ipernity_provider.hooks.files import as_filename, as_path
from ipernity_provider.replacement.errors import Cancelled, NotVerified, Uncertain
from ipernity_provider.replacement.memory import follow_chain
from ipernity_provider.replacement.preflight import Preflight, inspect_source
from ipernity_provider.replacement.record import UploadRecord
from ipernity_provider.replacement.replace import Replacement
from ipernity_provider.replacement.request import Intent, ReplaceRequest, Result
from ipernity_provider.replacement.transfer import foresee
from ipernity_provider.text import display, printable

if TYPE_CHECKING:
    from ipernity_provider.hooks.ipernity import IpernityHook

#: The file was sent, and it is not known yet what became of it.
OPEN = 3
UNASKED = "Give --yes to send without being asked. Nothing was sent."
_SAME_COMMAND = (
    "Run the same command again: it asks the service what became of the file before it sends"
    " anything."
)


@exit_on_error()
def replace(options: Namespace) -> None:
    """Replace a document's file; exit with 3 if it was sent and the outcome is not known yet."""
    hook = metastore.connected_hook(options.conn_id)
    with metastore.database_access(), hook.get_conn() as client:
        how = hook.replace_options(
            backup_to=options.backup_to,
            proof=options.proof,
            on_new_document=options.on_new_document,
            on_uncertain=options.on_uncertain,
        )
        request = ReplaceRequest(
            doc_id=options.doc,
            file=as_path(options.file),
            filename=as_filename(options.filename),
            base_url=hook.settings.base_url,
        )
        file = inspect_source(request, how)
        user_id = client.check_token().user_id
        with journal_of(hook.settings, user_id, request.doc_id) as journal:
            replacement = Replacement(
                client, request, how, journal, Intent(id=uuid4().hex), memory=hook.memory(how)
            )
            if not how.transfers and (successor := _known_successor(hook, request.doc_id)):
                say(
                    f"Document {successor} has taken the place of document {request.doc_id}:"
                    " --on-new-document transfer replaces its file instead."
                )
            found = replacement.inspect(file)
            for line in plan(replacement, file, found):
                say(line)
            unchanged = isinstance(found, Preflight) and found.unchanged
            if options.dry_run:
                result = _planned(request, file, found)
            elif unchanged or options.yes or confirm("Replace the file?", UNASKED):
                result = run(replacement, journal, file)
            else:
                raise CommandFailed("Nothing was sent.")
        print_result(result, as_json=bool(options.output))


def _known_successor(hook: IpernityHook, doc_id: str) -> str | None:
    """Return the document that people see in place of another, as far as Airflow can say."""
    with suppress(TransientError, PermanentError):
        if chain := follow_chain(hook.all_memory(), doc_id):
            return chain[-1][1].successor
    return None


def journal_of(
    settings: ConnectionSettings, user_id: str, doc_id: str
) -> AbstractContextManager[FileJournal]:
    """Return the journal of a document of the account, to be entered."""
    return open_journal(urlsplit(settings.base_url or settings.website_url).netloc, user_id, doc_id)


def plan(
    replacement: Replacement, file: SourceFile, found: Result | UploadRecord | Preflight | None
) -> list[str]:
    """Return what the command will do, in lines."""
    doc_id, folder = replacement.request.doc_id, replacement.options.backup_to
    new = f"New file: {printable(file.name)}, {file.size:,} bytes, md5 {file.md5 or 'not read yet'}"
    if not isinstance(found, Preflight):
        ticket = f" (ticket {found.ticket})" if isinstance(found, UploadRecord) else ""
        return [
            f"Document {doc_id}: an earlier command may have sent a file{ticket}.",
            new,
            "The service is asked first; the file is sent only if it did not arrive.",
        ]
    document = found.document
    if found.unchanged:
        return []  # the result says so
    old = [
        printable(document.filename or ""),
        "size unknown" if document.bytes is None else f"{document.bytes:,} bytes",
        f"md5 {document.md5 or 'unknown'}",
    ]
    kept = f"stored in {display(folder)} first" if folder else "none (--backup-to FOLDER keeps one)"
    transfer = []
    if replacement.options.transfers:
        hides = replacement.options.on_new_document == "transfer"
        details = get_details(replacement.client, document.doc_id)
        transfer = [foresee(details, hides=hides)]
    return [
        f'Document {document.doc_id} "{printable(document.title)}"',
        f"Page:     {document.link or 'unknown'}",
        f"Old file: {', '.join(filter(None, old))}",
        new,
        f"Backup:   {kept}",
        *transfer,
    ]


def run(replacement: Replacement, journal: FileJournal, file: SourceFile) -> Result:
    """Replace the file with a progress bar; forget a replacement that is proven.

    :raises CommandFailed: the file was sent, and its outcome is not known yet: exit code 3.
    """
    try:
        name = printable(file.name)
        with progress_bar(f"Sending {name}", in_bytes=True, then="Waiting for the service") as bar:
            replacement.progress = bar
            result = replacement.run(file)
    except Cancelled as error:
        raise CommandFailed(str(error)) from None
    except (IpernityError, KeyboardInterrupt) as error:
        record = journal.read()
        sent = record is not None and (record.complete or record.answered)
        if isinstance(error, KeyboardInterrupt):
            if sent:
                raise CommandFailed(
                    f"Interrupted. The file may have arrived. {_SAME_COMMAND}", 130
                ) from None
            raise CommandFailed("Interrupted. Nothing was replaced.", 130) from None
        if sent and isinstance(error, TransientError | Uncertain):
            raise CommandFailed(f"{error} {_SAME_COMMAND}", OPEN) from None
        if isinstance(error, NotVerified):
            raise CommandFailed(f"{error} If it is not, the same command sends it again.") from None
        raise
    journal.delete()
    return result


def _planned(
    request: ReplaceRequest, file: SourceFile, found: Result | UploadRecord | Preflight | None
) -> Result:
    if isinstance(found, Preflight):
        planned = found.result("planned")
        return with_changes(planned, outcome="unchanged") if found.unchanged else planned
    return Result(
        outcome="planned",
        doc_id=request.doc_id,
        filename=file.name,
        bytes=file.size,
        md5=file.md5,
        reason=f"Document {request.doc_id}: the outcome of an earlier upload is not known yet.",
    )


def print_result(result: Result, *, as_json: bool) -> None:
    """Print what came of it on stdout."""
    use_utf8()
    if as_json:
        print(to_json(result.as_dict()))
        return
    print(f"Dry run: {result.reason}" if result.outcome == "planned" else result.reason)
    pages = (("Page", result.url), ("New page", result.new_url), ("Backup", result.backup))
    for name, value in pages:
        if value:
            print(f"{name}: {display(value)}")
    for name, why in result.not_transferred.items():
        print(f"Not transferred: {printable(name)}: {why}")
