"""What is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, Self, get_args

from ipernity_provider.api.doc_id import read_doc_id
from ipernity_provider.api.errors import PermanentError, TransientError
from ipernity_provider.api.multipart import FilePath

Outcome = Literal["replaced", "unchanged", "planned", "sent", "new_document"]
IfUnchanged = Literal["succeed", "skip", "replace"]
Verify = Literal["md5", "size", "changed", "none"]
VerifiedBy = Literal["md5", "bytes", "replaced_at"]
OnNewDocument = Literal["fail", "keep"]
OnUncertain = Literal["fail", "send"]


#: Longer than the client waits for an upload's answer, and than the longest processing that was ever announced.
RESEND_GRACE = 600.0


class FolderPath(Protocol):
    """A folder: ``pathlib.Path``, ``ObjectStoragePath``, ``UPath``."""

    def __truediv__(self, name: str, /) -> Any: ...

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None: ...


class Refused(PermanentError):
    """The plan does not hold: nothing was sent."""


class Uncertain(PermanentError):
    """Nobody can tell whether an earlier try was accepted; nothing more was sent."""


class TicketInvalid(PermanentError):
    """The service took the file and then could not use it."""


class NewDocument(PermanentError):
    """The service made a new document instead of replacing the file of the one asked for.

    :param new_doc_id: that document, if it is one.
    :param url: the page of the document that was to be replaced.
    """

    def __init__(self, message: str, *, new_doc_id: str | None = None, url: str | None = None) -> None:
        super().__init__(message)
        self.new_doc_id = new_doc_id
        self.url = url


class NotVerified(PermanentError):
    """The upload is through, but the document does not show the bytes that were sent."""


class NotFinished(TransientError):
    """The time limit passed while the service was still working on the upload."""

    @classmethod
    def after(cls, limit: str, ticket: str) -> Self:
        """:param limit: the limit and its parameter, e.g. ``the timeout of 3600 s``."""
        return cls(
            f"Ticket {ticket} was not finished within {limit}. The upload is safe: a retry waits for it again."
        )


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is asked of the outcome, once a file was sent.

    :param verify: the least proof that is accepted: the stored ``md5``, the ``size`` (or better), that the document
        ``changed`` (or better), or ``none``.
    :param verify_seconds: how long to look for it; the service may call an upload done too early.
    :param on_new_document: ``fail``, or ``keep`` a document that was newly made instead.
    """

    verify: Verify = "changed"
    verify_seconds: float = 15.0
    on_new_document: OnNewDocument = "fail"

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if (value := getattr(self, name, None)) is not None and value not in get_args(allowed):
                choices = ", ".join(map(repr, get_args(allowed)))
                raise Refused(f"{name} is {value!r}: choose one of {choices}. Nothing was sent.")


@dataclass(frozen=True, kw_only=True)
class Terms(Demand):
    """How a file is to be replaced, whichever it is.

    :param upload_roots: each entry is a set of folders or URIs of which one must hold the file; no entry: any file.
    :param if_unchanged: what to do when the document already carries these bytes: ``succeed`` and ``skip`` send
        nothing, ``replace`` sends them all the same.
    :param check_account: ask for the token's rights, the PRO account and the quota before sending. Which accounts
        the service counts as PRO today is not known for sure: switched off, the service decides alone.
    :param force: start anew where an earlier run of the same task already sent this file.
    :param run: names the run that this order belongs to; retries of a run share it, ``force`` tells runs apart by it.
    :param on_uncertain: ``fail``, or ``send`` (and perhaps send twice) when nobody can tell whether an earlier try
        was accepted.
    :param resend_grace: seconds that an upload of unknown fate is given to show up before it counts as lost. The
        service shows nothing of an upload before it has processed it, so this must be longer than that takes.
    :param backup_to: folder to store the previous original in before anything is sent.
    :param require_backup: send nothing without that backup.
    """

    upload_roots: Sequence[Sequence[str]] = ()
    if_unchanged: IfUnchanged = "succeed"
    check_account: bool = True
    force: bool = False
    run: str = ""
    on_uncertain: OnUncertain = "fail"
    resend_grace: float = RESEND_GRACE
    backup_to: FolderPath | None = None
    require_backup: bool = True


@dataclass(frozen=True, kw_only=True)
class Order(Terms):
    """One replacement, as it is wanted.

    :param doc_id: the document whose file is to be replaced.
    :param file: the new file.
    :param filename: the name that the service is told; the file's own by default.
    :param dry_run: plan only.
    :param asynchronous: take a ticket at once (``async=1``); else the upload call itself waits until the document is
        complete (``async=0``).
    :param maybe_sent_since: unix time since which an earlier try may have sent the file, where no journal can tell.
    """

    doc_id: str
    file: FilePath
    filename: str | None = None
    dry_run: bool = False
    asynchronous: bool = True
    maybe_sent_since: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            object.__setattr__(self, "doc_id", read_doc_id(self.doc_id))
        except ValueError as error:
            raise Refused(f"doc_id {error}. Nothing was sent.") from None


_CHOICES: dict[str, Any] = {
    "if_unchanged": IfUnchanged,
    "verify": Verify,
    "on_new_document": OnNewDocument,
    "on_uncertain": OnUncertain,
}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of an order.

    :param ticket: of the upload; None where nothing was sent or its answer was lost.
    :param new_doc_id: of a document that was made instead of replacing.
    :param bytes: size of the file that was (or would be) sent.
    :param md5: its checksum, lower-case hex.
    :param verified_by: the proof reached; None where there was nothing to verify or none was asked for.
    :param url: the document's page.
    :param backup: where the previous original was stored.
    :param reason: one sentence for a person.
    """

    outcome: Outcome
    doc_id: str
    ticket: str | None = None
    new_doc_id: str | None = None
    filename: str
    bytes: int
    md5: str
    verified_by: VerifiedBy | None = None
    url: str | None = None
    backup: str | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-simple, always with the same keys."""
        return asdict(self)
