"""verify: does the document that was asked for now carry these bytes?"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.api.models import Document, Ticket
from ipernity_provider.api.sentences import lines_of, printable
from ipernity_provider.replacement.journal import Entry
from ipernity_provider.replacement.order import Demand, NewDocument, NotVerified, Result, VerifiedBy

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
    demand: Demand,
    entry: Entry,
    ticket: Ticket | None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Entry, Result]:
    """Prove the replacement, by the best rung that the service's answers allow: md5, bytes, ``replaced_at``.

    :param ticket: the finished ticket; None where the document is known without one.
    :return: the entry, with the proof where there is one, and the result.
    :raises NewDocument: another document resulted, and ``on_new_document`` is ``fail``.
    :raises NotVerified: the proof that ``verify`` demands was not to be had.
    """
    named = (ticket.doc_id if ticket else None) or entry.result_id
    if named and named != entry.doc_id:
        return _new_document(client, demand, entry, named)
    if demand.verify == "none":
        if not named:
            raise NotVerified(
                f"The service does not say what the upload for document {entry.doc_id} has led to: it does not know the "
                f"ticket (any more). Look at {entry.url} yourself; another `verify` than none looks by itself."
            )
        return entry, _result(
            entry, None, entry.url, f"The service says that document {entry.doc_id} was replaced."
        )
    document, proof = _climb(client, demand, entry, sleep)
    if proof not in _ACCEPTED[demand.verify]:
        raise NotVerified(_shortfall(demand, entry, document, proof))
    if proof != "md5" and document.md5:
        log.warning(
            "The service stores other bytes than were sent: md5 %s instead of %s. It may have processed the file.",
            document.md5,
            entry.md5,
        )
    done = entry.with_proof(entry.doc_id, document, proof)
    return done, _result(
        entry, proof, document.link, f"Document {entry.doc_id} carries the new file, by its {proof}."
    )


def result_lines(entry: Entry, result: Result) -> list[str]:
    """What a log says of a replacement that was proven: the document, the old and the new file, the proof, the page."""
    before = entry.before
    title = f' "{printable(before.title)}"' if before.title else ""
    old = (
        printable(before.filename),
        f"{before.bytes:,} bytes" if before.bytes is not None else "size unknown",
        f"md5 {before.md5 or 'unknown'}",
    )
    if result.new_doc_id:
        ending = f"Document {entry.doc_id}{title} has its old file; the new document is {result.new_doc_id}."
    elif result.verified_by:
        ending = f"Document {entry.doc_id}{title} carries the new file."
    else:
        ending = f"Document {entry.doc_id}{title} was replaced, as the service says."
    facts = (
        f"Old file: {', '.join(filter(None, old))}",
        f"New file: {printable(entry.filename)}, {entry.bytes:,} bytes, md5 {entry.md5}",
        f"Proof: {result.verified_by or 'none'}",
        f"Page: {result.url or 'unknown'}",
    )
    # Each is a line of its own, whatever a title or a file name looks like.
    return lines_of("\n".join([ending, *facts]))


def still_proven(client: IpernityClient, demand: Demand, entry: Entry) -> Result | None:
    """The result of a replacement that was proven before, if the document still shows what it showed then.

    :raises NewDocument: that was a new document, and those are not wanted any more.
    :raises NotVerified: more proof is demanded now than there was then.
    """
    if entry.proven is None or entry.result_id is None:
        return None
    document = client.get_document(entry.result_id)
    if not entry.proven.same_as(document):
        return None
    if entry.result_id != entry.doc_id:
        return _new_document(client, demand, entry, entry.result_id)[1]
    if demand.verify != "none" and entry.verified_by not in _ACCEPTED[demand.verify]:
        raise NotVerified(_shortfall(demand, entry, document, entry.verified_by))
    reason = f"Document {entry.doc_id} still carries the file that an earlier run of this task has sent."
    return _result(entry, entry.verified_by, document.link, reason)


def _climb(
    client: IpernityClient, demand: Demand, entry: Entry, sleep: Callable[[float], None]
) -> tuple[Document, VerifiedBy | None]:
    """Look until the document shows a new state; the old one may be lagging behind."""
    end = time.monotonic() + demand.verify_seconds
    pauses = iter(_PAUSES)
    while True:
        document = client.get_document(entry.doc_id)
        proof = proof_of(document, entry)
        if proof or time.monotonic() >= end:
            return document, proof
        sleep(next(pauses, _PAUSES[-1]))


def proof_of(document: Document, entry: Entry) -> VerifiedBy | None:
    """The best rung that a document's answers reach."""
    before = entry.before
    moved = document.replaced_at > before.replaced_at
    if document.md5 == entry.md5:
        return "md5"
    if document.md5 is not None and document.md5 == before.md5:
        return None  # whatever its date says: these are the old bytes
    # Equal size proves nothing where the checksum says otherwise, nor where the size did not change.
    if document.md5 is None and document.bytes == entry.bytes and (moved or before.bytes != entry.bytes):
        return "bytes"
    return "replaced_at" if moved else None


def _new_document(client: IpernityClient, demand: Demand, entry: Entry, new_id: str) -> tuple[Entry, Result]:
    if demand.on_new_document == "fail":
        raise NewDocument(
            # Airflow's log view takes an address for a link up to the next space.
            f"The service made a new document, {new_id}, instead of replacing the file of document {entry.doc_id}. Nothing "
            f"was deleted. Compare {entry.url} (old) with {_page_of(client, new_id)} (new). Decide which of the two to keep; "
            'on_new_document="keep" accepts new documents, force=True sends again.',
            new_doc_id=new_id,
            url=entry.url,
        )
    new = client.get_document(new_id)
    proof: VerifiedBy | None = None
    if new.md5 == entry.md5:
        proof = "md5"
    elif new.md5 is None and new.bytes == entry.bytes:
        proof = "bytes"
    if demand.verify in {"md5", "size"} and proof not in _ACCEPTED[demand.verify]:
        raise NotVerified(_shortfall(demand, entry, new, proof))
    reason = f"The service made the new document {new_id} instead of replacing the file of document {entry.doc_id}."
    return entry.with_proof(new_id, new, proof), _result(entry, proof, new.link, reason, new_id)


def _page_of(client: IpernityClient, doc_id: str) -> str:
    """Its page, for the sentence; that a document was made is worth saying even if it cannot be seen."""
    try:
        return client.get_document(doc_id).link or doc_id
    except IpernityError:
        return doc_id


def _shortfall(demand: Demand, entry: Entry, document: Document, proof: VerifiedBy | None) -> str:
    return (
        f"Document {document.doc_id} is not proven to carry {entry.filename}: sent were {entry.bytes} "
        f"bytes with md5 {entry.md5}, it shows {document.bytes or 'an unknown number of'} bytes with md5 "
        f"{document.md5 or 'unknown'}; proof reached: {proof or 'none'}, demanded: {demand.verify}. Look at "
        f"{document.link} first; clearing the task looks again, force=True sends again."
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
