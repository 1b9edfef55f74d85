"""plan: look at every file and every document before the first byte is sent."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import CredentialError, PermanentError, SourceUnreadable, TransientError
from ipernity_provider.api.models import Document, Quota, Token
from ipernity_provider.api.multipart import FilePath
from ipernity_provider.replacement.batch.earlier import reopened, taken_up
from ipernity_provider.replacement.batch.item import ASIDE, Item
from ipernity_provider.replacement.batch.journal import BatchJournal, JournalLost
from ipernity_provider.replacement.batch.order import BatchOrder
from ipernity_provider.replacement.fingerprint import fingerprint
from ipernity_provider.replacement.life import as_far_as_known, outlast
from ipernity_provider.replacement.manifest import Line
from ipernity_provider.replacement.order import Refused
from ipernity_provider.replacement.plan import (
    require_owner,
    require_pro,
    require_same_media,
    require_size,
    require_write,
)
from ipernity_provider.replacement.source import Source, allowed, examine, read_if_in_doubt
from ipernity_provider.replacement.tickets import listed
from ipernity_provider.replacement.verify import still_proven

log = logging.getLogger(__name__)

_SAVED_TOGETHER = 100


@dataclass
class BatchPlan:
    """What is to be done with each item.

    :ivar items: all of them, in the order of the manifest, then what an earlier one has left under way.
    :ivar twins: md5 -> the documents that carry those bytes already.
    :ivar left_bytes: what is left of this month's upload volume; None where nobody knows.
    :ivar trouble: why something cannot be looked at for now; the last one, if there are several.
    :ivar troubled: the documents of which that holds.
    """

    items: list[Item]
    twins: dict[str, list[str]] = field(default_factory=dict)
    left_bytes: int | None = None
    trouble: TransientError | None = None
    troubled: set[str] = field(default_factory=set)

    @property
    def to_send(self) -> list[Item]:
        return [item for item in self.items if item.fate == "planned" and not item.under_way]

    @property
    def begun(self) -> bool:
        """Whether anything was sent already, by an earlier try."""
        return any(
            (item.entry and not item.entry.proven)
            or item.fate in {"replaced", "new_document", "failed", "uncertain"}
            for item in self.items
        )


def plan_all(
    client: IpernityClient, order: BatchOrder, journal: BatchJournal, lines: Iterable[Line]
) -> BatchPlan:
    """Look at everything, and write down what was found.

    What an earlier try of the same run has ended well is left alone while its file is the same; what it has sent is gone
    on with.

    :raises Refused: nothing can be replaced with this token or account.
    """
    account = _Account.of(client) if order.check_account else None
    items = taken_up(journal.load(), lines, order)
    journal.begin(items)
    items = [item for item in items if item.number != ASIDE]
    plan = BatchPlan(items, left_bytes=account.quota.spendable_bytes if account else None)
    _look_at_all(client, order, account, journal, plan)
    plan.twins = client.check_md5(sorted({item.md5 for item in plan.to_send}))
    return plan


def plan_again(journal: BatchJournal, trouble: TransientError | None = None) -> BatchPlan:
    """What the same try had planned before it handed the waiting over.

    :param trouble: what it was to leave to a later try.
    :raises JournalLost: nobody knows any more.
    """
    items = [item for item in journal.load().values() if item.number != ASIDE]
    if not items:
        raise JournalLost(
            "What was known of this batch was deleted while it waited. Clear the task: it looks at everything anew, and "
            "leaves alone what is there already."
        )
    return BatchPlan(items, trouble=trouble)


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


# -- looking ---------------------------------------------------------------------------------------------------------


class _Looked(NamedTuple):
    item: Item
    trouble: TransientError | None = None


def _look_at_all(
    client: IpernityClient,
    order: BatchOrder,
    account: _Account | None,
    journal: BatchJournal,
    plan: BatchPlan,
) -> None:
    """What was found is kept as it comes: thousands of files are not read anew if a process dies over them."""

    def look(place: int) -> _Looked:
        item = reopened(order, plan.items[place])
        return _look(client, order, account, item) if item.fate == "planned" else _Looked(item)

    looked_at = {"planned", "replaced", "unchanged"}
    places = [n for n, item in enumerate(plan.items) if item.fate in looked_at and item.number >= 0]
    with ThreadPoolExecutor(order.max_parallel_uploads, thread_name_prefix="ipernity-plan") as threads:
        try:
            looked = zip(places, threads.map(look, places), strict=True)
            while some := list(islice(looked, _SAVED_TOGETHER)):
                for place, found in some:
                    plan.items[place] = found.item
                    if found.trouble:
                        plan.trouble = found.trouble
                        plan.troubled.add(found.item.doc_id)
                journal.save(*(found.item for _, found in some))
                _require_answers([found for _, found in some])
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _require_answers(looked: Sequence[_Looked]) -> None:
    """One document may be in trouble; of several in a row it is the service.

    :raises TransientError: it is.
    """
    for some in zip(looked, looked[1:], looked[2:], strict=False):
        troubles = [found.trouble for found in some]
        if troubles[-1] and all(t and not isinstance(t, SourceUnreadable) for t in troubles):
            raise troubles[-1]


def _look(client: IpernityClient, order: BatchOrder, account: _Account | None, item: Item) -> _Looked:
    unread: SourceUnreadable | PermanentError | None = None
    try:
        path = order.open_path(item.file)
        mark = fingerprint(path)  # before the file is read: what changes meanwhile is noticed later
        source = source_known(order, item, path, mark) or examine(path, item.filename, order.upload_roots)
        source = as_far_as_known(source, item.entry)
        item = item.of_file(source, mark)
    except (SourceUnreadable, PermanentError) as error:
        unread = error
    if item.under_way:
        return _Looked(item)  # what was sent can be proven without its file
    try:
        item = _outlasted(client, order, item)
        if unread:
            raise unread
        return _Looked(_compared(client, order, account, item, source))
    except CredentialError:
        raise  # nothing can be replaced at all
    except TransientError as error:
        return _Looked(item.unsent(str(error)), error)
    except PermanentError as error:
        return _Looked(item.ended_by(error, "refused"))


def _outlasted(client: IpernityClient, order: BatchOrder, item: Item) -> Item:
    """Without an upload that is not gone on with, if its end can be seen.

    :raises NewDocument: it has led to one, and none is wanted.
    """
    entry = item.detached
    if entry and outlast(client, order, entry, lambda: None, patience=0.0):
        return replace(item, entry=None, superseded=False, renamed=False)
    return item


def _compared(
    client: IpernityClient, order: BatchOrder, account: _Account | None, item: Item, source: Source
) -> Item:
    """The item beside its document: whether it is to be sent."""
    entry = item.attached
    if entry and entry.proven and (result := still_proven(client, order, entry)):
        return replace(item, md5_before=entry.before.md5).ended(result)
    document = client.get_document(item.doc_id)
    before = entry.before.md5 if entry else document.md5
    item = replace(item, md5_before=before, backup=item.backup if entry else None)
    _require_possible(document, source, account)
    item = item.of_file(read_if_in_doubt(source, document), item.fingerprint)
    # What was begun is to be looked at, be it only to wait for its end.
    sent_anyway = order.if_unchanged == "replace" or order.force or (item.entry and not item.entry.proven)
    if document.md5 == item.md5 and not sent_anyway:
        return replace(item, fate="unchanged", md5_after=item.md5, verified_by="md5")
    return item


def source_known(order: BatchOrder, item: Item, path: FilePath, mark: str) -> Source | None:
    """The file as it was read before; None if it was not, or has changed. What is sent is compared all the same.

    :param mark: its fingerprint now.
    :raises Refused: it may not be sent (any more).
    """
    if not item.md5 or mark != item.fingerprint:
        return None
    path = allowed(path, order.upload_roots)
    return Source(path, item.filename or path.name, item.bytes, item.md5, item.media, item.claim)


def _require_possible(document: Document, source: Source, account: _Account | None) -> None:
    require_same_media(document, source)
    if account:
        require_owner(document, account.token)
        require_size(document, source, account.quota)


# -- deciding --------------------------------------------------------------------------------------------------------


def require_possible(plan: BatchPlan, order: BatchOrder) -> str:
    """Whether anything may be sent; with ``on_error="stop"`` everything must be possible before it is.

    :return: why nothing more may be sent, though an earlier try has sent some; empty if all is well.
    :raises Refused: nothing may be sent, and nothing was.
    :raises TransientError: the same, and a later try may get through.
    """
    new = [item for item in plan.items if item.fate == "new_document" and not item.well]
    bad = [item for item in plan.items if item.fate in {"refused", "failed", "uncertain", "not_sent"}]
    total = sum(item.volume for item in plan.to_send)
    short = plan.left_bytes is not None and total > plan.left_bytes
    volume = f"files have {total} bytes together, but only {plan.left_bytes} are left of this month's upload volume"
    if new:
        return f"{new[0].where} became a new document"
    if order.on_error == "stop" and bad:
        reason = f"{len(bad)} of {len(plan.items)} cannot be replaced"
        told = f"{reason}, so nothing was sent.\n{_listed(bad)}"
    elif order.on_error == "stop" and short:
        reason = f"the {volume}"
        told = f'The {volume}. Nothing was sent; on_error="continue" sends what fits.'
    else:
        if short:
            log.warning("The %s; what fits is sent.", volume)
        return ""
    if any(item.doc_id not in plan.troubled for item in bad):
        plan.trouble = None  # no later try mends those
    if plan.begun:
        return reason
    raise plan.trouble or Refused(told)


def _listed(items: Sequence[Item]) -> str:
    return listed(f"{item.where}, document {item.doc_id}: {item.error}" for item in items)
