"""verify: does the document that was asked for now carry these bytes?"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.models import Document, Ticket
from ipernity_provider.replacement.journal import Entry
from ipernity_provider.replacement.order import NewDocument, NotVerified, Order, Result, VerifiedBy

log = logging.getLogger(__name__)

_PAUSES = (0.5, 1.0, 2.0, 3.0)

#: The proofs, best first, and for each demand those that meet it.
_ACCEPTED: dict[str, tuple[VerifiedBy, ...]] = {
    "md5": ("md5",),
    "size": ("md5", "bytes"),
    "changed": ("md5", "bytes", "replaced_at"),
}


def verify(
    client: IpernityClient,
    order: Order,
    entry: Entry,
    ticket: Ticket | None,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Prove the replacement, by the best rung that the service's answers allow: md5, bytes, ``replaced_at``.

    :param ticket: the finished ticket; None where the document is known without one.
    :raises NewDocument: another document resulted, and ``on_new_document`` is ``fail``.
    :raises NotVerified: the proof that ``verify`` demands was not to be had.
    """
    result_id = (ticket.doc_id if ticket else None) or entry.result_id or entry.doc_id
    if result_id != entry.doc_id:
        return _new_document(client, order, entry, result_id)
    if order.verify == "none":
        return _result(entry, None, entry.url, f"The service says that document {entry.doc_id} was replaced.")
    document, proof = _climb(client, order, entry, sleep)
    if proof not in _ACCEPTED[order.verify]:
        raise NotVerified(_shortfall(order, entry, document, proof))
    if proof != "md5" and document.md5:
        log.warning(
            "The service stores other bytes than were sent: md5 %s instead of %s. It may have processed the file.",
            document.md5,
            entry.md5,
        )
    return _result(
        entry, proof, document.link, f"Document {entry.doc_id} carries the new file, by its {proof}."
    )


def _climb(
    client: IpernityClient, order: Order, entry: Entry, sleep: Callable[[float], None]
) -> tuple[Document, VerifiedBy | None]:
    """Look until the document shows the best proof or has settled for another one."""
    end = time.monotonic() + order.verify_seconds
    pauses = iter(_PAUSES)
    while True:
        document = client.get_document(entry.doc_id)
        proof = proof_of(document, entry)
        if proof == "md5" or (proof and _settled(document, entry)) or time.monotonic() >= end:
            return document, proof
        sleep(next(pauses, _PAUSES[-1]))


def proof_of(document: Document, entry: Entry) -> VerifiedBy | None:
    """The best rung that a document's answers reach."""
    before = entry.before
    moved = document.replaced_at > before.replaced_at
    if document.md5 == entry.md5:
        return "md5"
    # Equal size proves nothing where the checksum says otherwise, nor where the size did not change.
    if document.md5 is None and document.bytes == entry.bytes and (moved or before.bytes != entry.bytes):
        return "bytes"
    return "replaced_at" if moved else None


def _settled(document: Document, entry: Entry) -> bool:
    """Whether the answers show a new state throughout: a checksum that is still the old one may be lagging behind."""
    return document.md5 is None or document.md5 != entry.before.md5


def _new_document(client: IpernityClient, order: Order, entry: Entry, new_id: str) -> Result:
    new = client.get_document(new_id)
    if order.on_new_document == "fail":
        raise NewDocument(
            f"The service made a new document, {new_id} ({new.link}), instead of replacing the file of document "
            f"{entry.doc_id} ({entry.url}), which still has its old file. Nothing was deleted. Decide which of the two to "
            'keep; on_new_document="keep" accepts new documents, force=True sends again.'
        )
    proof: VerifiedBy | None = (
        "md5" if new.md5 == entry.md5 else "bytes" if new.bytes == entry.bytes else None
    )
    if order.verify in {"md5", "size"} and proof not in _ACCEPTED[order.verify]:
        raise NotVerified(_shortfall(order, entry, new, proof))
    return _result(
        entry,
        proof,
        new.link,
        f"The service made the new document {new_id}; document {entry.doc_id} is as before.",
        new_id,
    )


def _shortfall(order: Order, entry: Entry, document: Document, proof: VerifiedBy | None) -> str:
    return (
        f"Document {document.doc_id} ({document.link}) is not proven to carry {entry.filename}: sent were {entry.bytes} "
        f"bytes with md5 {entry.md5}, it shows {document.bytes or 'an unknown number of'} bytes with md5 "
        f"{document.md5 or 'unknown'}; proof reached: {proof or 'none'}, demanded: {order.verify}. Look at the document; "
        "clearing the task looks again, force=True sends again."
    )


def _result(
    entry: Entry, proof: VerifiedBy | None, url: str | None, reason: str, new_doc_id: str | None = None
) -> Result:
    return Result(
        outcome="new_document" if new_doc_id else "replaced",
        doc_id=entry.doc_id,
        ticket=entry.ticket,
        new_doc_id=new_doc_id,
        filename=entry.filename,
        bytes=entry.bytes,
        md5=entry.md5,
        verified_by=proof,
        url=url or entry.url,
        backup=entry.backup,
        reason=reason,
    )
