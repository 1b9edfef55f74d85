"""The previous original, stored before it is replaced. Restoring is replacing with that file.

Nothing that the service says becomes a part of the path: the name is made of the requested id, of
the checksum of what was fetched, of the time, and of an ending from a table.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ipernity_provider.api.client import MAX_DOWNLOAD_BYTES, IpernityClient
from ipernity_provider.api.errors import IpernityError, TransientError
from ipernity_provider.api.models import Document, Media
from ipernity_provider.files.checksums import media_suffix
from ipernity_provider.files.errors import file_error
from ipernity_provider.files.paths import is_stored
from ipernity_provider.files.writing import atomic_write, make_folder, write_private
from ipernity_provider.replacement.errors import Refused
from ipernity_provider.replacement.preflight import Account
from ipernity_provider.replacement.request import FolderPath
from ipernity_provider.text import display

log = logging.getLogger(__name__)


class BackupNotStored(TransientError):
    """The storage of the backups fails; nothing was sent."""


def back_up(
    client: IpernityClient,
    folder: FolderPath,
    doc_id: str,
    document: Document,
    account: Account | None = None,
) -> str:
    """Store the document's present original in a folder, checked.

    :param doc_id: as it was requested, digits.
    :param account: if it was loaded: nothing larger is fetched than it allows.
    :return: where it lies.
    :raises Refused: it cannot be had.
    :raises BackupNotStored: the storage of the backups fails; a retry may succeed.
    """
    try:
        target = _store(client, folder, doc_id, document, account)
    except TransientError:
        raise
    except IpernityError as error:
        raise Refused(
            f"There is no backup of document {doc_id}: {error} Nothing was sent."
        ) from error
    log.info("The previous original of document %s is kept.", doc_id)
    log.info("Backup: %s", display(target))
    return str(target)


def _store(
    client: IpernityClient,
    folder: FolderPath,
    doc_id: str,
    document: Document,
    account: Account | None,
) -> object:
    original = client.get_medias(doc_id).original
    if original is None or not original.url:
        raise Refused("the service does not show its original.")
    max_bytes = _max_bytes(document, original, account)
    end = f"{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}{media_suffix(original.ext)}"
    with _storage_errors(folder):
        if isinstance(folder, Path):
            with write_private(folder) as file:
                md5 = _fetch(client, document, original, max_bytes, file.stream)
                file.name = f"{doc_id}-{md5}-{end}"
            return folder / file.name
        # An object has its name before it has its bytes, which are checked against this checksum;
        # the service may show none.
        shown = {md5 for md5 in (document.md5, original.md5) if md5}
        target = folder / f"{doc_id}-{shown.pop() if len(shown) == 1 else 'unknown'}-{end}"
        make_folder(folder)
        with atomic_write(target) as stream:
            _fetch(client, document, original, max_bytes, stream)
        return target


def _max_bytes(document: Document, original: Media, account: Account | None) -> int:
    """Return how many bytes may be fetched: as many as the service announces.

    It is never more than an upload of the account may have.

    :raises Refused: it announces more than that.
    """
    announced = document.bytes if original.bytes is None else original.bytes
    limit = account.quota.max_file_bytes.get(document.media) if account else None
    if announced is not None and limit is not None and announced > limit:
        raise Refused(
            f"the service announces {announced} bytes for its original, but the account allows"
            f" {limit} for a file of this kind, so it was not fetched."
        )
    return min(
        (size for size in (announced, limit) if size is not None), default=MAX_DOWNLOAD_BYTES
    )


def _fetch(
    client: IpernityClient, document: Document, original: Media, max_bytes: int, stream: IO[bytes]
) -> str:
    """Write the original to a stream, and return its checksum.

    :raises Refused: it is not what the service shows.
    """
    digest, size = hashlib.md5(usedforsecurity=False), 0
    for block in client.download(str(original.url), max_bytes=max_bytes):
        stream.write(block)
        digest.update(block)
        size += len(block)
    md5 = digest.hexdigest()
    sums = {known for known in (document.md5, original.md5) if known}
    sizes = {known for known in (document.bytes, original.bytes) if known is not None}
    if not sums and not sizes:
        raise Refused(
            "the service shows neither checksum nor size, so what was fetched cannot be checked."
        )
    if sums and md5 not in sums:
        raise Refused(f"what was fetched has md5 {md5}, the original {', '.join(sorted(sums))}.")
    if sizes and size not in sizes:
        raise Refused(
            f"what was fetched has {size} bytes, the original {', '.join(map(str, sizes))}."
        )
    return md5


@contextmanager
def _storage_errors(folder: FolderPath) -> Iterator[None]:
    """Turn what a storage raises into one sentence; its own text can contain secrets."""
    try:
        yield
    except IpernityError:
        raise
    except Exception as error:  # noqa: BLE001 - storages raise what they like
        fault = file_error(folder, error, "written")
        kind = BackupNotStored if is_stored(folder) and not fault.permanent else Refused
        raise kind(str(fault)) from None
