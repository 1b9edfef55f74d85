"""Look at a document, and tell whether a probe made it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.models import Document, Token
from ipernity_provider.api.parsing import Payload, parse
from ipernity_provider.probe.observations import SeenDocument
from ipernity_provider.probe.record import Attempt

#: How much the clocks of this machine and of the service may drift meanwhile, in seconds.
_DRIFT_SECONDS = 60.0


def look_at(
    client: IpernityClient, doc_id: str, seen: Callable[[Payload], None] = lambda _: None
) -> tuple[Document, SeenDocument]:
    """Return a document, and the parts of it that a replacement may change.

    :param seen: gets the answer.
    :raises IpernityError: it does not exist, or the answer cannot be used.
    """
    reply = client.call("doc.get", doc_id=doc_id, extra="md5")
    seen(reply)
    document = parse(Document, reply, "doc.get", "doc", asked_for=("doc_id", [doc_id]))
    return document, SeenDocument.of(reply)


def is_made_by(attempt: Attempt, document: Document, token: Token) -> bool:
    """Return whether a document was made by an upload of a probe, so that it may be changed.

    It must be the token owner's, and bear a mark of the upload or be newer than it.
    """
    if document.owner_id and document.owner_id != token.user_id:
        return False
    marks = (
        document.filename == attempt.filename,
        document.md5 == attempt.md5,
        document.title == attempt.title,
    )
    if any(marks):
        return True
    if not document.posted_at or document.asked_at is None:
        return False
    # By the service's own clock, whatever this machine's is.
    age = document.asked_at - document.posted_at
    return age <= time.time() - attempt.started_at + _DRIFT_SECONDS


def make_private(
    client: IpernityClient,
    token: Token,
    attempts: Iterable[Attempt],
    found: tuple[Document, SeenDocument],
) -> None:
    """Make a document private, unless it is; what no probe made is not touched.

    :raises IpernityError: the service did not do it.
    """
    document, seen = found
    made = any(is_made_by(attempt, document, token) for attempt in attempts)
    if made and seen.visibility != "private":
        client.call("doc.set", doc_id=document.doc_id, share=0)
