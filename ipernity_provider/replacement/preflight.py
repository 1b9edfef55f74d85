"""Read-only questions before an upload, and about one whose answer is not known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.details import get_details
from ipernity_provider.api.errors import DocumentNotFound, PermanentError, SourceUnreadable
from ipernity_provider.api.models import Document, Quota, Token
from ipernity_provider.files.checksums import SourceFile, inspect_file
from ipernity_provider.files.errors import FileError
from ipernity_provider.replacement.decisions import (
    Arrival,
    decide_arrival,
    decide_unchanged,
    is_candidate,
)
from ipernity_provider.replacement.errors import Refused, about
from ipernity_provider.replacement.memory import DocumentMemory
from ipernity_provider.replacement.record import DocumentSnapshot, UploadRecord
from ipernity_provider.replacement.request import Outcome, ReplaceOptions, ReplaceRequest, Result
from ipernity_provider.replacement.transfer import foresee
from ipernity_provider.text import printable

_MOST_CANDIDATES = 20
_MANY = {"photo": "photos", "audio": "audio files", "video": "videos", "other": "other files"}


@dataclass(frozen=True)
class Preflight:
    """What was found before sending.

    :param unchanged: whether the document carries the file already.
    :param account: where it was loaded.
    :param doc_id: the document that was asked for, where ``document`` has taken its place.
    :param remembered: whether that is known from the last upload alone: the service has rewritten
        the file.
    :param foreseen: in a dry run, what would be transferred to a new document, in sentences.
    """

    document: Document
    shown: DocumentSnapshot
    file: SourceFile
    unchanged: bool
    account: Account | None = None
    doc_id: str | None = None
    remembered: bool = False
    foreseen: str = ""

    def result(self, outcome: Outcome) -> Result:
        """Return the result for a request of which nothing is sent."""
        document, file = self.document, self.file
        size = "unknown" if document.bytes is None else document.bytes
        carried = f"Document {document.doc_id} already carries these bytes."
        if self.remembered:
            carried = (
                f"Document {document.doc_id} shows what it showed when this file was last sent."
            )
        return Result(
            outcome=outcome,
            doc_id=self.doc_id or document.doc_id,
            new_doc_id=document.doc_id if self.doc_id else None,
            filename=file.name,
            bytes=file.size,
            md5=file.md5 or (file.reported_md5 if self.unchanged else None),
            proof=("changed" if self.remembered else "md5") if self.unchanged else None,
            url=document.link,
            reason=carried
            if self.unchanged
            else (
                f"{printable(file.name)} ({file.size} bytes) replaces the file of document"
                f" {document.doc_id} ({size} bytes). {self.foreseen}".rstrip()
            ),
        )


def inspect_source(
    request: ReplaceRequest, options: ReplaceOptions, known: SourceFile | None = None
) -> SourceFile:
    """Look at the file to send, see :func:`~ipernity_provider.files.checksums.inspect_file`.

    :raises Refused: it cannot be sent.
    :raises SourceUnreadable: its storage fails; a retry may succeed.
    """
    try:
        return inspect_file(request.file, request.filename, options.upload_roots, known)
    except FileError as error:
        raise source_error(error) from None


def source_error(error: FileError) -> Refused | SourceUnreadable:
    """Make the error of a replacement whose file cannot be read."""
    kind = Refused if error.permanent else SourceUnreadable
    return kind(f"{error} Nothing was sent.")


def check_before_sending(
    client: IpernityClient,
    request: ReplaceRequest,
    options: ReplaceOptions,
    file: SourceFile,
    account: Account | None = None,
    memory: DocumentMemory | None = None,
) -> Preflight:
    """Ask the service whether this replacement can succeed, and whether it is needed.

    :param account: as loaded before, for many documents; else it is loaded if
        ``options.check_account``.
    :param memory: read before an upload with ``proof="changed"``.
    :raises Refused: it cannot; the sentence says why.
    """
    try:
        document, shown = observe(client, request.target, file.md5 or file.reported_md5)
    except DocumentNotFound:
        # A token without permissions sees no private document either: say that rather than blame
        # the id.
        if options.check_account and account is None:
            Account.require_write(client.check_token())
        raise
    with about(document.link):
        if file.media and document.media and file.media != document.media:
            raise Refused(
                f"{printable(file.name)} is of class {file.media}, document {document.doc_id} of"
                f" class {document.media}: a file can only be replaced by one of its own class."
                " Nothing was sent."
            )
        found = Preflight(
            document,
            shown,
            file,
            unchanged=decide_unchanged(file, shown, options),
            doc_id=request.doc_id if request.successor else None,
        )
        if not found.unchanged and memory and options.proof == "changed":
            known = decide_unchanged(file, shown, options, memory.read(request.target))
            found = replace(found, unchanged=known, remembered=known)
        if found.unchanged:
            return found
        if document.media in options.makes_new_document and options.on_new_document == "fail":
            raise Refused(
                f"This account gets a new document for {_MANY[document.media]}, as `airflow"
                f" ipernity probe` found: document {document.doc_id} would keep its file. Nothing"
                " was sent. Say in on_new_document what to do with a new document. If the service"
                " has changed, `airflow ipernity probe --store` renews what is known."
            )
        if account:
            account.require_possible(document, file)
        elif options.check_account:
            account = Account.load(client)
            account.require_possible(document, file, left_bytes=account.quota.spendable_bytes)
        if options.transfers and options.dry_run:
            hides = options.on_new_document == "transfer"
            foreseen = foresee(get_details(client, request.target), hides=hides)
            found = replace(found, foreseen=foreseen)
        return replace(found, account=account)


def observe(
    client: IpernityClient, doc_id: str, md5: str | None
) -> tuple[Document, DocumentSnapshot]:
    """Look at a document and its checksum.

    Where it does not show one, ask ``doc.checkMD5`` whether it carries ``md5``.
    """
    document = client.get_document(doc_id)
    carriers = _documents_with(client, md5) if md5 and document.md5 is None else None
    return document, DocumentSnapshot(
        md5=document.md5,
        bytes=document.bytes,
        replaced_at=document.replaced_at,
        observed_at=document.asked_at,
        listed=None if carriers is None else doc_id in carriers,
    )


@dataclass(frozen=True)
class Account:
    """Whose token it is, and what the account may still upload."""

    token: Token
    quota: Quota

    @classmethod
    def load(cls, client: IpernityClient) -> Self:
        """Ask the service, and check what concerns every document.

        :raises Refused: nothing can be replaced with this token or account.
        """
        token = client.check_token()
        cls.require_write(token)
        quota = client.get_quota()
        if quota.is_pro is False:
            raise Refused(
                "The account is not PRO (ipernity Club); the service documents that only those"
                " replace files. Nothing was sent. If yours may: set check_account to false in the"
                " connection's extra."
            )
        return cls(token, quota)

    @staticmethod
    def require_write(token: Token) -> None:
        """Require a token that allows to write documents.

        :raises Refused: it does not.
        """
        if not token.allows("doc", "write"):
            held = token.permissions.get("doc", "none")
            raise Refused(
                f"The token of {token.username or 'this connection'} allows doc: {held}; replacing"
                " needs doc: write. Nothing was sent. Authorize again with that permission."
            )

    def require_possible(
        self, document: Document, file: SourceFile, left_bytes: int | None = None
    ) -> None:
        """Require that the document can be replaced with this file.

        :param left_bytes: of this month's upload volume; None where it does not matter.
        :raises Refused: the document belongs to another user, or the file is too large.
        """
        if document.owner_id and self.token.user_id and document.owner_id != self.token.user_id:
            raise Refused(
                f"Document {document.doc_id} belongs to user {document.owner_id}, the token to"
                f" {self.token.username} ({self.token.user_id}): you can replace your own documents"
                " only. Nothing was sent."
            )
        limit = self.quota.max_file_bytes.get(document.media)
        if limit and file.size > limit:
            raise Refused(
                f"{printable(file.name)} has {file.size} bytes, the account allows {limit} for a"
                f" {document.media}. Nothing was sent."
            )
        if left_bytes is not None and file.size > left_bytes:
            raise Refused(
                f"{printable(file.name)} has {file.size} bytes, but only {left_bytes} of this"
                " month's upload volume are left. Nothing was sent."
            )


# -- where an upload went --------------------------------------------------------------------------


def locate(client: IpernityClient, record: UploadRecord) -> tuple[Arrival, str]:
    """Look once where the file of an upload is: what the service shows, and in which document."""
    _, shown = observe(client, record.doc_id, record.md5)
    if decide_arrival(record, shown, []) is Arrival.ARRIVED:
        return Arrival.ARRIVED, record.doc_id
    candidates = _find_candidates(client, record)
    arrival = decide_arrival(record, shown, candidates)
    return arrival, candidates[0].doc_id if arrival is Arrival.NEW_DOCUMENT else record.doc_id


def _find_candidates(client: IpernityClient, record: UploadRecord) -> list[Document]:
    """Find the documents that the service may have created of this upload instead of replacing.

    Those with its bytes, and, where the service may have rewritten them, those with its file name.
    """
    found: dict[str, Document] = {}
    carriers = _documents_with(client, record.md5) if record.md5 else None
    for doc_id in (carriers or [])[:_MOST_CANDIDATES]:
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
