"""What an earlier try of a batch knew of its items, as far as it still holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ipernity_provider.api.errors import PermanentError
from ipernity_provider.replacement.batch.item import ASIDE, UNLISTED, Item
from ipernity_provider.replacement.batch.order import BatchOrder
from ipernity_provider.replacement.fingerprint import fingerprint
from ipernity_provider.replacement.manifest import Line


def taken_up(known: dict[str, Item], lines: Iterable[Line], order: BatchOrder) -> list[Item]:
    """The items of a manifest, with what is known of them; then what was sent for an earlier one, or may have been."""
    items = [
        _told_before(known.pop(line.doc_id, None), number, line, order) for number, line in enumerate(lines)
    ]
    for item in known.values():
        if item.entry and not item.entry.proven:
            where = item.where if item.number < 0 else f"{item.where} of an earlier manifest"
            items.append(replace(item, number=UNLISTED if item.under_way else ASIDE, where=where))
    return items


def _told_before(known: Item | None, number: int, line: Line, order: BatchOrder) -> Item:
    """What an earlier try knew of this line, as far as it still holds."""
    fresh = Item(line.doc_id, line.file, line.filename, number, line.where, run=order.run)
    if known is None:
        return fresh
    if known.run != order.run and order.force:
        return replace(fresh, entry=known.entry, superseded=True)
    same_file = (known.file, known.filename) == (line.file, line.filename)
    settled = (
        known.well
        or (known.fate == "failed" and known.entry is None)  # the service would not have it
        or (known.fate == "new_document" and order.on_new_document == "fail")
    )
    if settled and same_file and known.run == order.run:
        return replace(known, number=number, where=line.where)
    # The entry says what was sent, be it under another name.
    renamed = known.entry is not None and (known.renamed or known.file != line.file)
    fresh = replace(fresh, entry=known.entry, superseded=known.superseded, renamed=renamed)
    if known.entry:  # what the document was before that upload, and where that is kept
        fresh = replace(fresh, md5_before=known.entry.before.md5, backup=known.backup)
    if not (same_file and known.fingerprint):
        return fresh
    return replace(
        fresh,
        fingerprint=known.fingerprint,
        md5=known.md5,
        claim=known.claim,
        bytes=known.bytes,
        media=known.media,
    )


def reopened(order: BatchOrder, item: Item) -> Item:
    """Planned anew, if its file was changed since it was done."""
    if item.fate == "planned" or not item.fingerprint:
        return item
    try:
        mark = fingerprint(order.open_path(item.file))
    except PermanentError:
        return item  # what is done needs no file any more
    if mark in {"", item.fingerprint}:
        return item
    return Item(
        item.doc_id, item.file, item.filename, item.number, item.where, run=item.run, entry=item.entry
    )
