"""What the service shows of a document, and of uploads that led elsewhere. Reads only."""

from __future__ import annotations

from dataclasses import replace

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import DocumentNotFound, PermanentError
from ipernity_provider.api.models import Document
from ipernity_provider.replacement.decisions import Arrival, decide_arrival, is_candidate
from ipernity_provider.replacement.record import DocumentSnapshot, UploadRecord

_MOST_CANDIDATES = 20


def observe(
    client: IpernityClient, doc_id: str, md5: str | None
) -> tuple[Document, DocumentSnapshot]:
    """Look at a document and its checksum.

    Where it does not show one, ask ``doc.checkMD5`` whether it carries ``md5``.
    """
    document = client.get_document(doc_id)
    listed = None
    if document.md5 is None and md5:
        hits = _documents_with(client, md5)
        listed = None if hits is None else doc_id in hits
    return document, DocumentSnapshot.of(document, listed)


def find_candidates(client: IpernityClient, record: UploadRecord) -> list[Document]:
    """Find the documents that the service may have created of this upload instead of replacing.

    Those with its bytes, and, where the service may have rewritten them, those with its file name.
    """
    found: dict[str, Document] = {}
    for doc_id in (
        (_documents_with(client, record.md5) or [])[:_MOST_CANDIDATES] if record.md5 else []
    ):
        if doc_id == record.doc_id:
            continue
        try:
            found[doc_id] = client.get_document(doc_id)
        except DocumentNotFound:
            continue  # the service lists documents of others and deleted ones, too
    if record.owner_id:
        for recent in client.get_recent_documents(record.owner_id):
            if recent.filename == record.filename:
                # A list of somebody's documents does not name the owner of each.
                found.setdefault(recent.doc_id, replace(recent, owner_id=record.owner_id))
    return [document for document in found.values() if is_candidate(record, document)]


def _documents_with(client: IpernityClient, md5: str) -> list[str] | None:
    """Return the ids of the documents that carry these bytes.

    :return: None where the service does not answer such questions.
    """
    try:
        return client.check_md5([md5])[md5]
    except PermanentError:
        return None


def locate(client: IpernityClient, record: UploadRecord) -> tuple[Arrival, str]:
    """Look once where the file of an upload is: what the service shows, and in which document."""
    _, shown = observe(client, record.doc_id, record.md5)
    if decide_arrival(record, shown, []) is Arrival.ARRIVED:
        return Arrival.ARRIVED, record.doc_id
    candidates = find_candidates(client, record)
    arrival = decide_arrival(record, shown, candidates)
    return arrival, candidates[0].doc_id if arrival is Arrival.NEW_DOCUMENT else record.doc_id
