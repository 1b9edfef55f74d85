"""Find what probes made, and delete it where the token may."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import DocumentNotFound, IpernityError
from ipernity_provider.api.models import Token
from ipernity_provider.probe.documents import is_made_by, look_at, make_private
from ipernity_provider.probe.polling import Patience, wait_for_ticket
from ipernity_provider.probe.record import Attempt, Record

#: How long an upload without an answer may still show up, in seconds.
SHOWS_UP_SECONDS = 600.0


#: ``not_allowed``: the token may not delete; ``not_found``: the upload did not show up (yet);
#: ``not_ours``: what it resulted in does not look like a probe's; ``no_answer``: a call failed.
Reason = Literal["not_allowed", "not_found", "not_ours", "no_answer"]


@dataclass(frozen=True)
class Left:
    """What could not be cleaned up.

    :param doc_id: the document; None if it is not known whether there is one.
    :param link: its page, if the service named it.
    """

    attempt: Attempt
    reason: Reason
    doc_id: str | None = None
    link: str | None = None


def clean_up(
    client: IpernityClient,
    token: Token,
    record: Record,
    attempts: Sequence[Attempt],
    patience: Patience,
    say: Callable[[str], None],
) -> list[Left]:
    """Delete the documents of recorded uploads, and forget these.

    Without the permission to delete, the documents are made private and stay, and so does their
    record. What does not belong to a probe is never touched.

    :param attempts: which of the record's to clean up after.
    :return: what is left.
    """
    left: dict[str | None, Left] = {}
    for attempt in list(attempts):
        try:
            found = _clean_up_one(client, token, record, attempt, patience, say)
        except IpernityError:
            found = Left(attempt, "no_answer", attempt.doc_id)
        if found is not None:
            left[found.doc_id or attempt.md5] = found
    return list(left.values())


def _clean_up_one(
    client: IpernityClient,
    token: Token,
    record: Record,
    attempt: Attempt,
    patience: Patience,
    say: Callable[[str], None],
) -> Left | None:
    if attempt.doc_id is None:
        say(f"Looking for what became of {attempt.filename}.")
        attempt.doc_id, may_show_up = find_result(client, token, attempt, patience)
        if attempt.doc_id is None and may_show_up:
            return Left(attempt, "not_found")
        if attempt.doc_id is None:
            record.remove(attempt)
            return None
        record.save()
    try:
        document, seen = look_at(client, attempt.doc_id)
    except DocumentNotFound:
        record.remove(attempt)
        return None
    if not is_made_by(attempt, document, token):
        return Left(attempt, "not_ours", attempt.doc_id, document.link)
    if not token.allows("doc", "delete"):
        make_private(client, token, [attempt], (document, seen))
        return Left(attempt, "not_allowed", attempt.doc_id, document.link)
    say(f"Deleting document {attempt.doc_id}.")
    with suppress(DocumentNotFound):
        client.call("doc.delete", doc_id=attempt.doc_id)
    record.remove(attempt)
    return None


def find_result(
    client: IpernityClient, token: Token, attempt: Attempt, patience: Patience
) -> tuple[str | None, bool]:
    """Return the document that an upload resulted in, and whether it may still show up."""
    shows_up_in = attempt.started_at + SHOWS_UP_SECONDS - time.time()
    seconds = min(patience.seconds, max(0.0, shows_up_in))
    if attempt.ticket:
        wait = wait_for_ticket(client, attempt.ticket, patience)
        if wait.state == "done" and wait.doc_id:
            return wait.doc_id, False
        # What the service does not know any more, or calls invalid, has ended: one look is enough.
        seconds = 0.0
        shows_up_in = shows_up_in if wait.state == "unknown" else 0.0
    for _ in replace(patience, seconds=seconds).looks():
        if (doc_id := _search(client, token, attempt)) is not None:
            return doc_id, False
    return None, shows_up_in > 0


def _search(client: IpernityClient, token: Token, attempt: Attempt) -> str | None:
    """Return the document with the upload's checksum, name or title."""
    hits: list[str] = []
    with suppress(IpernityError):  # the list below may name it all the same
        hits = client.check_md5([attempt.md5])[attempt.md5]
    for doc_id in hits:
        with suppress(DocumentNotFound):  # another user's, or deleted
            if is_made_by(attempt, client.get_document(doc_id), token):
                return doc_id
    for document in client.get_recent_documents(token.user_id):
        named = document.filename == attempt.filename or document.md5 == attempt.md5
        # A replacement keeps the title of what it replaces, a document that it makes has none.
        titled = attempt.method == "upload.file" and document.title == attempt.title
        if named or titled:
            return document.doc_id
    return None
