"""plan: cheap reads that refuse early, before a byte is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import DocumentNotFound
from ipernity_provider.api.models import Document, Quota, Token
from ipernity_provider.replacement.journal import Entry, Shown
from ipernity_provider.replacement.order import Order, Outcome, Refused, Result
from ipernity_provider.replacement.source import Source, read_if_in_doubt


@dataclass(frozen=True)
class Plan:
    """What would happen, and why.

    :param send: whether the file would be sent; if not, the document already carries it.
    """

    doc_id: str
    document: Document
    source: Source
    send: bool
    reason: str

    def result(self, outcome: Outcome) -> Result:
        return Result(
            outcome=outcome,
            doc_id=self.doc_id,
            filename=self.source.name,
            bytes=self.source.size,
            md5=self.source.md5,
            verified_by="md5" if outcome == "unchanged" else None,
            url=self.document.link,
            reason=self.reason,
        )


def make_entry(
    order: Order, document: Document, source: Source, twins: Sequence[str], backup: str | None
) -> Entry:
    """The intent to send, for the journal."""
    now = datetime.now(UTC)
    return Entry(
        doc_id=order.doc_id,
        filename=source.name,
        md5=source.md5,
        bytes=source.size,
        before=Shown.of(document),
        twins=tuple(twins),
        owner_id=document.owner_id,
        url=document.link,
        run=order.run,
        at=now.isoformat(timespec="seconds"),
        alive_at=now.timestamp(),
        backup=backup,
        claim=source.claim,
    )


def make_plan(client: IpernityClient, order: Order, source: Source) -> Plan:
    """Ask the service whether this replacement can be done.

    :return: with the file as it is known by then: a doubtful checksum has made it be read.
    :raises Refused: it cannot; the sentence says why.
    """
    document = _document(client, order)
    require_same_media(document, source)
    source = read_if_in_doubt(source, document)
    if document.md5 == source.md5 and order.if_unchanged != "replace" and not order.force:
        return Plan(
            order.doc_id,
            document,
            source,
            send=False,
            reason=f"Document {order.doc_id} already carries these bytes.",
        )
    if order.check_account:
        token = client.check_token()
        require_write(token)
        require_owner(document, token)
        quota = client.get_quota()
        require_pro(quota)
        require_size(document, source, quota)
        _require_volume(source, quota)
    return Plan(
        order.doc_id,
        document,
        source,
        send=True,
        reason=f"{source.name} ({source.size} bytes, md5 {source.md5}) replaces the file of document "
        f"{order.doc_id} ({document.bytes or 'unknown'} bytes, md5 {document.md5 or 'unknown'}).",
    )


def require_same_media(document: Document, source: Source) -> None:
    if source.media and document.media and source.media != document.media:
        raise Refused(
            f"{source.name} is of class {source.media}, document {document.doc_id} of class {document.media}: a file can "
            "only be replaced by one of its own class. Nothing was sent."
        )


def _document(client: IpernityClient, order: Order) -> Document:
    try:
        return client.get_document(order.doc_id)
    except DocumentNotFound:
        # A token without rights sees no private document either: say that rather than blame the id.
        if order.check_account:
            require_write(client.check_token())
        raise


def require_write(token: Token) -> None:
    if not token.allows("doc", "write"):
        held = token.permissions.get("doc", "none")
        raise Refused(
            f"The token of {token.username or 'this connection'} allows doc: {held}, replacing needs doc: write. "
            "Authorize again with that right. Nothing was sent."
        )


def require_owner(document: Document, token: Token) -> None:
    if document.owner_id and token.user_id and document.owner_id != token.user_id:
        raise Refused(
            f"Document {document.doc_id} belongs to user {document.owner_id}, the token to {token.username} "
            f"({token.user_id}): only one's own documents can be replaced. Nothing was sent."
        )


def require_pro(quota: Quota) -> None:
    if quota.is_pro is False:
        raise Refused(
            "The account is not PRO (ipernity Club), and the service lets only those replace files. "
            "check_account=False leaves the decision to the service. Nothing was sent."
        )


def require_size(document: Document, source: Source, quota: Quota) -> None:
    limit = quota.max_file_bytes.get(document.media)
    if limit and source.size > limit:
        raise Refused(
            f"{source.name} has {source.size} bytes, the account allows {limit} for a {document.media}. Nothing was sent."
        )


def _require_volume(source: Source, quota: Quota) -> None:
    left = quota.spendable_bytes
    if left is not None and source.size > left:
        raise Refused(
            f"{source.name} has {source.size} bytes, but only {left} are left of this month's upload volume. "
            "Nothing was sent."
        )
