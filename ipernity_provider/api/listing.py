"""All pages of a list of documents, one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import ReplyInvalid
from ipernity_provider.api.models import Document

log = logging.getLogger(__name__)

OnPage = Callable[[int, int | None], None]
"""Called after each page, with the documents received so far and their total if it is known."""


def iterate_documents(
    client: IpernityClient,
    user_id: str,
    *,
    pause: float = 0.5,
    on_page: OnPage | None = None,
    **filters: Any,
) -> Iterator[Document]:
    """Yield a user's documents, page by page; only two pages are kept in memory.

    A document that is posted meanwhile moves the others by one place: one that is then on two pages
    is yielded once. A document that is deleted meanwhile can hide another one.

    :param pause: seconds from the start of one call to that of the next one, at least; volunteers
        run the service.
    :param filters: those of :meth:`IpernityClient.get_documents`.
    :raises ReplyInvalid: the service sends the same page again.
    """
    page, received = 1, 0
    previous: frozenset[str] = frozenset()
    while True:
        begun = time.monotonic()
        found = client.get_documents(user_id, page=page, **filters)
        ids = frozenset(document.doc_id for document in found.documents)
        if ids and ids == previous:
            raise ReplyInvalid(
                f"The service sent page {page - 1} of the documents again instead of page {page}:"
                f" the list ends after {received} documents and is not complete. Try again later;"
                " if it stays so, report it to the authors of this package.",
                member="docs.page",
                method="doc.getList",
            )
        received += len(found.documents)
        if on_page:
            on_page(received, found.total)
        yield from (document for document in found.documents if document.doc_id not in previous)
        if found.is_last:
            break
        previous, page = ids, page + 1
        time.sleep(max(0.0, begun + pause - time.monotonic()))
    if found.total is not None and found.total > received:
        log.warning("The service shows %d of %d documents.", received, found.total)
