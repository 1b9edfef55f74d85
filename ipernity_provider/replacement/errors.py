"""How a replacement can fail.

The errors of the service itself are in :mod:`ipernity_provider.api.errors`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from ipernity_provider.api.errors import IpernityError, PermanentError, TransientError
from ipernity_provider.text import printable

if TYPE_CHECKING:
    from ipernity_provider.replacement.record import UploadRecord
    from ipernity_provider.replacement.request import ReplaceOptions


class Refused(PermanentError):
    """The replacement cannot succeed as it was asked for. Nothing was sent."""


class Uncertain(PermanentError):
    """The service does not show whether an earlier upload arrived. Nothing more was sent."""


class TicketInvalid(PermanentError):
    """The service accepted the file and then could not use it."""


class NewDocument(PermanentError):
    """The service created a new document instead of replacing the file of the requested one.

    :param new_doc_id: the document that was created.
    :param url: the page of the document that was to be replaced.
    """

    def __init__(self, message: str, *, new_doc_id: str, url: str | None = None) -> None:
        super().__init__(message)
        self.new_doc_id = new_doc_id
        self.url = url


class NotVerified(PermanentError):
    """The upload is complete, but the document does not show the bytes that were sent."""


class NotFinished(TransientError):
    """The time limit passed while the service was still processing the upload."""

    @classmethod
    def after(cls, limit: str, ticket: str) -> Self:
        """Make the error.

        :param limit: the limit and its parameter, e.g. ``the timeout of 3600 s``.
        """
        return cls(
            f"Ticket {ticket} was not finished within {limit}. The upload is safe. A retry"
            " continues to wait for it."
        )


class OtherUploadPending(TransientError):
    """An earlier upload of other bytes to the document is not settled yet. Nothing was sent."""


class TransferPending(OtherUploadPending):
    """Another task has not finished a transfer to a new document. Nothing was sent."""


class TicketNotStored(TransientError):
    """The service accepted the file, but its ticket could not be written to the journal."""


class Cancelled(RuntimeError):
    """The process is to end, or another one has taken its place: it sends nothing more."""


class UploadAborted(Cancelled):
    """The upload was aborted before its last block: it cannot have arrived."""


@contextmanager
def about(url: str | None) -> Iterator[None]:
    """Add the page of a document to the errors of the block that name none."""
    try:
        yield
    except IpernityError as error:
        error.url = error.url or url
        raise


def unclaimed_document(
    record: UploadRecord, new_doc_id: str, options: ReplaceOptions
) -> PermanentError:
    """Make the error for a document that may stem from an upload whose ticket does not say so.

    A new document belongs to the upload whose ticket led to it; without a ticket, to none for sure.
    """
    found = (
        f"Document {new_doc_id} was created since the upload of {printable(record.filename)} to"
        f" document {record.doc_id} began, with the same bytes or name: perhaps by this upload,"
        " instead of replacing. Nothing was deleted, and nothing more was sent. Compare it with"
        f" {record.url or record.doc_id} ."
    )
    if options.on_new_document == "fail":
        return NewDocument(found, new_doc_id=new_doc_id, url=record.url)
    return Uncertain(f"{found} on_uncertain='send' sends the file again.")
