"""plan: look at every file and every document before the first byte is sent."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import PermanentError
from ipernity_provider.api.models import Document, Quota, Token
from ipernity_provider.api.upload import FilePath
from ipernity_provider.replacement.batch.item import BatchJournal, Item
from ipernity_provider.replacement.batch.order import BatchOrder
from ipernity_provider.replacement.fingerprint import fingerprint
from ipernity_provider.replacement.manifest import Line
from ipernity_provider.replacement.order import Refused
from ipernity_provider.replacement.plan import (
    require_owner,
    require_pro,
    require_same_media,
    require_size,
    require_write,
)
from ipernity_provider.replacement.source import Source, examine
from ipernity_provider.replacement.tickets import named

log = logging.getLogger(__name__)


@dataclass
class BatchPlan:
    """What is to be done with each item.

    :ivar items: all of them, in the order of the manifest.
    :ivar sources: the files that were looked at, by their documents.
    :ivar twins: md5 -> the documents that carry those bytes already.
    :ivar left_bytes: what is left of this month's upload volume; None where nobody knows.
    """

    items: list[Item]
    sources: dict[str, Source] = field(default_factory=dict)
    twins: dict[str, list[str]] = field(default_factory=dict)
    left_bytes: int | None = None

    @property
    def to_send(self) -> list[Item]:
        return [item for item in self.items if item.fate == "planned" and not item.under_way]

    @property
    def refused(self) -> list[Item]:
        return [item for item in self.items if item.fate == "refused"]


def plan_all(
    client: IpernityClient, order: BatchOrder, journal: BatchJournal, lines: Iterable[Line]
) -> BatchPlan:
    """Look at everything, and write down what was found.

    What an earlier try of the same run has ended well is left alone; what it has sent is gone on with.

    :raises Refused: nothing can be replaced with this token or account.
    """
    account = _Account.of(client) if order.check_account else None
    known = journal.load()
    items = [
        _told_before(known.pop(line.doc_id, None), number, line, order) for number, line in enumerate(lines)
    ]
    # What an earlier try has sent of another manifest is not left unwatched.
    items += [item for item in known.values() if item.under_way]
    open_items = [item for item in items if item.fate == "planned" and not item.under_way]
    with ThreadPoolExecutor(order.max_parallel_uploads, thread_name_prefix="ipernity-plan") as threads:
        looked = list(threads.map(lambda item: _look(client, order, account, item), open_items))
    found = {item.doc_id: (item, source) for item, source in looked}
    plan = BatchPlan(
        [found[item.doc_id][0] if item.doc_id in found else item for item in items],
        {doc_id: source for doc_id, (_, source) in found.items() if source},
        left_bytes=account.quota.left_bytes if account else None,
    )
    journal.save(*plan.items)
    plan.twins = client.check_md5(sorted({item.md5 for item in plan.to_send}))
    return plan


@dataclass(frozen=True)
class _Account:
    token: Token
    quota: Quota

    @classmethod
    def of(cls, client: IpernityClient) -> _Account:
        """:raises Refused: nothing can be replaced with this token or account."""
        token = client.check_token()
        require_write(token)
        quota = client.get_quota()
        require_pro(quota)
        return cls(token, quota)


def plan_again(journal: BatchJournal) -> BatchPlan:
    """What the same try had planned before it handed the waiting over."""
    return BatchPlan(sorted(journal.load().values(), key=lambda item: item.number))


def _told_before(known: Item | None, number: int, line: Line, order: BatchOrder) -> Item:
    """What an earlier try knew of this line, as far as it still holds."""
    fresh = Item(line.doc_id, line.file, line.filename, number, line.where, run=order.run)
    if known is None or (known.file, known.filename) != (line.file, line.filename):
        return fresh
    if known.run != order.run and order.force:
        return fresh
    known = replace(known, number=number, where=line.where)
    if known.under_way or (known.run == order.run and known.well):
        return known
    # What failed, or what a cleared task has to prove again: the entry says what was sent.
    return replace(
        fresh,
        entry=known.entry,
        md5=known.md5,
        claim=known.claim,
        bytes=known.bytes,
        fingerprint=known.fingerprint,
    )


def _look(
    client: IpernityClient, order: BatchOrder, account: _Account | None, item: Item
) -> tuple[Item, Source | None]:
    try:
        path = order.open_path(item.file)
        source = _source(order, item, path)
        item = replace(
            item, md5=source.md5, claim=source.claim, bytes=source.size, fingerprint=fingerprint(path)
        )
        document = client.get_document(item.doc_id)
        item = replace(item, md5_before=document.md5)
        _require_possible(document, source, account)
    except PermanentError as error:
        return item.ended_badly("refused", str(error)), None
    if document.md5 == source.md5 and order.if_unchanged != "replace" and not order.force and not item.entry:
        return replace(item, fate="unchanged", md5_after=source.md5, verified_by="md5"), None
    return item, source


def _source(order: BatchOrder, item: Item, path: FilePath) -> Source:
    """The file, read only if it is not the one that was read before; what is sent is compared all the same."""
    source = source_known(item, path)
    return source or examine(path, item.filename, order.upload_roots)


def source_known(item: Item, path: FilePath) -> Source | None:
    """The file as it was read before; None if it was not, or seems to have changed."""
    if not (item.md5 and item.fingerprint and fingerprint(path) == item.fingerprint):
        return None
    return Source(path, item.filename or path.name, item.bytes, item.md5, None, item.claim)


def _require_possible(document: Document, source: Source, account: _Account | None) -> None:
    require_same_media(document, source)
    if account:
        require_owner(document, account.token)
        require_size(document, source, account.quota)


def require_possible(plan: BatchPlan, order: BatchOrder) -> None:
    """With ``on_error="stop"`` everything must be possible before anything is sent.

    :raises Refused: it is not.
    """
    total = sum(item.bytes for item in plan.to_send)
    short = plan.left_bytes is not None and total > plan.left_bytes
    volume = f"The files have {total} bytes together, but only {plan.left_bytes} are left of this month's upload volume."
    if order.on_error == "stop" and plan.refused:
        first = named(f"{item.where}: {item.error}" for item in plan.refused)
        raise Refused(
            f"{len(plan.refused)} of {len(plan.items)} cannot be replaced, so nothing was sent. {first}"
        )
    if order.on_error == "stop" and short:
        raise Refused(f'{volume} Nothing was sent; on_error="continue" sends what fits.')
    if short:
        log.warning("%s What fits is sent.", volume)
