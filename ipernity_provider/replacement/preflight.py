"""Read-only questions that refuse a replacement before a byte is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import DocumentNotFound, SourceUnreadable
from ipernity_provider.api.models import Document, Quota, Token
from ipernity_provider.files.checksums import SourceFile, inspect_file
from ipernity_provider.files.errors import FileError
from ipernity_provider.replacement.decisions import decide_unchanged
from ipernity_provider.replacement.errors import Refused
from ipernity_provider.replacement.observe import observe
from ipernity_provider.replacement.record import DocumentSnapshot
from ipernity_provider.replacement.request import Outcome, ReplaceOptions, ReplaceRequest, Result
from ipernity_provider.text import printable


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
        require_write(token)
        quota = client.get_quota()
        if quota.is_pro is False:
            raise Refused(
                "The account is not PRO (ipernity Club); the service documents that only those"
                " replace files. Nothing was sent. If yours may: set check_account to false in the"
                " connection's extra."
            )
        return cls(token, quota)

    def require_possible(self, document: Document, file: SourceFile) -> None:
        """Require that the document can be replaced with this file.

        :raises Refused: the document belongs to another user, or the file is too large for the
            account.
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

    def require_volume(self, file: SourceFile) -> None:
        """Require that enough of this month's upload volume is left.

        :raises Refused: it is too small.
        """
        left = self.quota.spendable_bytes
        if left is not None and file.size > left:
            raise Refused(
                f"{printable(file.name)} has {file.size} bytes, but only {left} of this month's"
                " upload volume are left. Nothing was sent."
            )


@dataclass(frozen=True)
class Preflight:
    """What was found before sending.

    :param unchanged: whether the document carries the file already.
    :param account: where it was loaded.
    """

    document: Document
    shown: DocumentSnapshot
    file: SourceFile
    unchanged: bool
    account: Account | None = None

    @property
    def reason(self) -> str:
        doc_id, document = self.document.doc_id, self.document
        if self.unchanged:
            return f"Document {doc_id} already carries these bytes."
        size = "unknown" if document.bytes is None else document.bytes
        return (
            f"{printable(self.file.name)} ({self.file.size} bytes) replaces the file of document"
            f" {doc_id} ({size} bytes)."
        )

    def result(self, outcome: Outcome) -> Result:
        return Result(
            outcome=outcome,
            doc_id=self.document.doc_id,
            filename=self.file.name,
            bytes=self.file.size,
            md5=self.file.md5 or (self.file.reported_md5 if self.unchanged else None),
            proof="md5" if self.unchanged else None,
            url=self.document.link,
            reason=self.reason,
        )


def inspect_source(
    request: ReplaceRequest, options: ReplaceOptions, known: SourceFile | None = None
) -> SourceFile:
    """Look at the file to send: read it for its checksum if it lies on this machine.

    :param known: as it was inspected before; if it has not changed since, it is not read again.
    :raises Refused: it cannot be sent.
    :raises SourceUnreadable: its storage fails; a retry may succeed.
    """
    with source_errors():
        return inspect_file(request.file, request.filename, options.upload_roots, known)


@contextmanager
def source_errors() -> Iterator[None]:
    """Turn what is wrong with a file into an error of the replacement."""
    try:
        yield
    except FileError as error:
        kind = Refused if error.permanent else SourceUnreadable
        raise kind(f"{error} Nothing was sent.") from None


def check_before_sending(
    client: IpernityClient,
    request: ReplaceRequest,
    options: ReplaceOptions,
    file: SourceFile,
    account: Account | None = None,
) -> Preflight:
    """Ask the service whether this replacement can succeed, and whether it is needed.

    :param account: as loaded before, for many documents; else it is loaded if
        ``options.check_account``.
    :raises Refused: it cannot; the sentence says why.
    """
    try:
        document, shown = observe(client, request.doc_id, file.md5 or file.reported_md5)
    except DocumentNotFound:
        # A token without permissions sees no private document either: say that rather than blame
        # the id.
        if options.check_account and account is None:
            require_write(client.check_token())
        raise
    if file.media and document.media and file.media != document.media:
        raise Refused(
            f"{printable(file.name)} is of class {file.media}, document {document.doc_id} of class"
            f" {document.media}: a file can only be replaced by one of its own class. Nothing was"
            " sent."
        )
    if decide_unchanged(file, shown, options):
        return Preflight(document, shown, file, unchanged=True)
    if account:
        account.require_possible(document, file)
    elif options.check_account:
        account = Account.load(client)
        account.require_possible(document, file)
        account.require_volume(file)
    return Preflight(document, shown, file, unchanged=False, account=account)


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
