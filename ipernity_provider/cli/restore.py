"""``restore``: documents get their previous originals back, from a report or from one backup."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from uuid import uuid4

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError, PermanentError, TransientError
from ipernity_provider.cli import metastore
from ipernity_provider.cli.errors import CommandFailed, exit_on_error
from ipernity_provider.cli.replace import UNASKED, journal_of, run
from ipernity_provider.cli.rows import use_utf8
from ipernity_provider.cli.terminal import confirm, say
from ipernity_provider.files.checksums import SourceFile
from ipernity_provider.files.errors import file_error
from ipernity_provider.files.paths import ReadableFile
from ipernity_provider.hooks.files import as_path
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.replacement.memory import DocumentMemory, follow_chain
from ipernity_provider.replacement.preflight import Account, inspect_source
from ipernity_provider.replacement.replace import Replacement
from ipernity_provider.replacement.request import Intent, ReplaceOptions, ReplaceRequest
from ipernity_provider.text import display, summarize

_REPORTS = frozenset({".jsonl", ".ndjson"})
_BACKUP = re.compile(
    r"([1-9][0-9]{0,19})-([0-9a-f]{32}|unknown)-[0-9]{8}T[0-9]{6}Z(\.[a-z0-9]{1,8})?"
)


@dataclass(frozen=True)
class Backup:
    """A previous original of a document.

    :param path: where it lies: a path or URI.
    :param md5: its checksum; None where that is not known.
    :param replaced_by: checksums of the file that has replaced it; empty: they are not known.
    """

    doc_id: str
    path: str
    md5: str | None
    replaced_by: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Step:
    """A document to restore; in its place the one that has taken it.

    :param to_send: whether it does not carry its original yet.
    """

    request: ReplaceRequest
    file: SourceFile
    to_send: bool = True


@exit_on_error()
def restore(options: Namespace) -> None:
    """Restore documents; exit with 3 if one was sent and the outcome is not known yet."""
    hook = metastore.connected_hook(options.conn_id)
    with metastore.database_access(), hook.get_conn() as client:
        backups = list(read_backups(options.source))
        how = hook.replace_options(
            backup_to=options.backup_to,
            proof=options.proof,
            on_new_document=options.on_new_document,
            on_uncertain=options.on_uncertain,
        )
        memory = _known_successors(hook, how, backups[0].doc_id)
        account = Account.load(client) if how.check_account else None
        user_id = account.token.user_id if account else client.check_token().user_id
        steps, unchanged = _plan(client, backups, how, account, memory)
        left = account.quota.spendable_bytes if account else None
        if left is not None and left < (
            size := sum(step.file.size for step in steps if step.to_send)
        ):
            raise CommandFailed(
                f"The originals have {size} bytes, but only {left} of this month's upload volume"
                " are left. Nothing was sent."
            )
        say(f"{len(steps)} to restore, {unchanged} unchanged.")
        if not steps:
            return
        say(summarize((_describe(step) for step in steps), "\n"))
        if options.dry_run:
            return
        if not (options.yes or confirm("Restore them?", UNASKED)):
            raise CommandFailed("Nothing was sent.")
        use_utf8()
        for number, step in enumerate(steps):
            doc_id = step.request.doc_id
            try:
                with journal_of(hook.settings, user_id, doc_id) as journal:
                    replacement = Replacement(
                        client,
                        step.request,
                        how,
                        journal,
                        Intent(id=uuid4().hex),
                        account=account,
                        memory=memory,
                    )
                    print(run(replacement, journal, step.file).reason, flush=True)
            except (CommandFailed, IpernityError) as error:
                raise CommandFailed(
                    f"{error} {number} of {len(steps)} documents were restored; the same command"
                    " continues.",
                    getattr(error, "exit_code", 1),
                ) from None


def read_backups(source: str) -> Iterator[Backup]:
    """Yield the backups of a report, or the one that is named.

    :raises CommandFailed: there is none.
    """
    path = as_path(source)
    if PurePath(path.name).suffix.lower() not in _REPORTS:
        found = _BACKUP.fullmatch(path.name)
        if not found:
            raise CommandFailed(
                f"{display(source)} is neither a report (.jsonl) nor a backup, whose name begins"
                " with its document's number. Nothing was sent. Use `replace DOC FILE` to choose"
                " the document."
            )
        yield Backup(found[1], source, None if found[2] == "unknown" else found[2])
        return
    try:
        with ReadableFile(path).open() as stream:
            rows = [json.loads(line) for line in stream if line.strip()]
        backups = [_backup_of(row) for row in rows if row.get("backup")]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CommandFailed(
            f"{display(source)} is not a report of ReplaceFilesOperator. Nothing was sent."
        ) from None
    except Exception as error:  # noqa: BLE001 - storages raise what they like
        raise CommandFailed(f"The report {file_error(path, error)} Nothing was sent.") from None
    if not backups:
        raise CommandFailed(
            f"{display(source)} lists no backup. Nothing was sent. Backups are stored with"
            " backup_to."
        )
    yield from backups


def _backup_of(row: dict[str, Any]) -> Backup:
    sums = {row["md5"], row["md5_after"]} - {None}
    return Backup(str(row["doc_id"]), str(row["backup"]), row["md5_before"], frozenset(sums))


def _plan(
    client: IpernityClient,
    backups: list[Backup],
    how: ReplaceOptions,
    account: Account | None,
    memory: DocumentMemory | None,
) -> tuple[list[Step], int]:
    """Return what is to be sent, and how many documents carry their originals already.

    The document whose place was taken still carries its original: what people see in its place is
    what is to be restored.

    :raises CommandFailed: a backup is not what was stored, or a document was replaced since, or is
        to get two backups.
    """
    steps: list[Step] = []
    errors: list[str] = []
    first: dict[str, str] = {}
    for backup in backups:
        try:
            taken = follow_chain(memory, backup.doc_id) if memory else []
            target = str(taken[-1][1].successor) if taken else backup.doc_id
            if (other := first.setdefault(target, backup.doc_id)) != backup.doc_id:
                both = f"Document {backup.doc_id} and document {other}"
                raise CommandFailed(f"{both} are one by now, {target}: restore one of them.")
            unfinished = how.transfers and not all(known.transferred for _, known in taken)
            step = _step(client, backup, target, how, account)
            if step.to_send or unfinished:
                steps.append(step)
        except CommandFailed as error:
            errors.append(str(error))
        except IpernityError as error:
            errors.append(f"Document {backup.doc_id}: {error}")
    if errors:
        say(summarize(errors, "\n"))
        raise CommandFailed(
            f"{len(errors)} of {len(backups)} cannot be restored. Nothing was sent. Use `replace"
            " DOC FILE` for single documents."
        )
    return steps, len(backups) - len(steps)


def _known_successors(
    hook: IpernityHook, how: ReplaceOptions, doc_id: str
) -> DocumentMemory | None:
    """Return what is known of documents; None, with a warning, if Airflow cannot say.

    :raises TransientError: it cannot, and what is to be transferred needs it.
    """
    memory = hook.all_memory()
    try:
        memory.read(doc_id)
    except TransientError as error:
        if how.transfers:
            raise
        why = str(error).removesuffix(" Nothing was sent. A retry may succeed.")
        say(f"It is not known whether other documents have taken the place of these. {why}")
        return None
    except PermanentError:
        pass  # of this document alone, which the plan says
    return memory


def _step(
    client: IpernityClient,
    backup: Backup,
    target: str,
    how: ReplaceOptions,
    account: Account | None,
) -> Step:
    """Look at a document and its backup.

    :param target: the document itself, or the one that has taken its place.
    :raises CommandFailed: the backup is not what was stored, or the document was replaced since.
    """
    document = client.get_document(target)
    # The backup's own name is made of numbers.
    old = PurePath(document.filename or "")
    path = as_path(backup.path)
    request = ReplaceRequest(
        doc_id=backup.doc_id,
        file=path,
        filename=f"{old.stem}{PurePath(path.name).suffix}" if old.stem else None,
        successor=None if target == backup.doc_id else target,
    )
    file = inspect_source(request, how)
    if backup.md5 and file.md5 not in {None, backup.md5}:
        raise CommandFailed(f"{display(backup.path)} is not the file that was stored.")
    if document.md5 and document.md5 == file.md5:
        return Step(request, file, to_send=False)
    if _was_replaced_since(backup, document.md5):
        raise CommandFailed(f"Document {target} was replaced again since the report was written.")
    if account:
        account.require_possible(document, file)
    return Step(request, file)


def _was_replaced_since(backup: Backup, md5: str | None) -> bool:
    """Return whether a document carries neither its original nor what has replaced that."""
    return bool(backup.replaced_by and md5) and md5 not in {backup.md5, *backup.replaced_by}


def _describe(step: Step) -> str:
    request = step.request
    instead = (
        f", to document {request.successor}, which has taken its place" if request.successor else ""
    )
    file = f"{display(request.file)} ({step.file.size:,} bytes)"
    return f"  Document {request.doc_id}: {file}{instead}"
