"""The previous original, stored before it is replaced. Restoring is replacing with that file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError, TransientError
from ipernity_provider.api.models import Document, Media
from ipernity_provider.api.storage import fault_of, is_stored, shown
from ipernity_provider.replacement.order import FolderPath, Order, Refused
from ipernity_provider.replacement.storing import make_folder, written_whole

log = logging.getLogger(__name__)


class BackupNotStored(TransientError):
    """The storage of the backups fails; nothing was sent."""


def back_up(client: IpernityClient, order: Order, document: Document) -> str | None:
    """Store the document's present original under ``backup_to``, checked.

    :return: where it lies; None if none was asked for, or none was to be had and none is required.
    :raises Refused: it cannot be had and ``require_backup`` is set.
    :raises BackupNotStored: the same, and a later try may get through.
    """
    if order.backup_to is None:
        return None
    try:
        return _store(client, order.backup_to, document)
    except IpernityError as error:
        if not order.require_backup:
            log.warning("No backup of document %s: %s Sending without one.", document.doc_id, error)
            return None
        if isinstance(error, TransientError):
            raise
        raise Refused(
            f"No backup of document {document.doc_id}, so nothing was sent: {error} require_backup=False sends without one."
        ) from error


def _store(client: IpernityClient, folder: FolderPath, document: Document) -> str:
    original = client.get_medias(document.doc_id).original
    if original is None or not original.url:
        raise Refused("the service does not show its original.")
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    extension = f".{original.ext}" if original.ext and original.ext.isalnum() else ""
    target = folder / f"{document.doc_id}-{document.md5 or 'unknown'}-{now}{extension}"
    digest, size = hashlib.md5(), 0
    with _storing(folder):
        make_folder(folder)
        with written_whole(target) as stream:
            for block in client.download(original.url):
                stream.write(block)
                digest.update(block)
                size += len(block)
            _require_same(document, original, digest.hexdigest(), size)
    log.info("The previous original of document %s (%d bytes) is kept as %s.", document.doc_id, size, target)
    return str(target)


@contextmanager
def _storing(folder: FolderPath) -> Iterator[None]:
    """Turns what a storage raises into one sentence; its own text can hold what must not be shown."""
    try:
        yield
    except IpernityError:
        raise
    except Exception as error:  # noqa: BLE001 - storages raise what they like
        fault = fault_of(error, "written")
        kind = BackupNotStored if is_stored(folder) and not fault.permanent else Refused
        raise kind(f"{shown(folder)} {fault.words}.") from None


def _require_same(document: Document, original: Media, md5: str, size: int) -> None:
    sums = {known for known in (document.md5, original.md5) if known}
    sizes = {known for known in (document.bytes, original.bytes) if known is not None}
    if not sums and not sizes:
        raise Refused("the service tells neither checksum nor size, so what was fetched cannot be checked.")
    if sums and md5 not in sums:
        raise Refused(f"what was fetched has md5 {md5}, the original {', '.join(sums)}.")
    if sizes and size not in sizes:
        raise Refused(f"what was fetched has {size} bytes, the original {', '.join(map(str, sizes))}.")
