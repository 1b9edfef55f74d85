"""What is asked for, how, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, asdict, dataclass, field
from typing import Any, Literal, Protocol, get_args

from ipernity_provider.api.models import read_doc_id
from ipernity_provider.replacement.errors import Refused

Outcome = Literal["replaced", "unchanged", "planned", "sent", "new_document", "transferred"]
IfUnchanged = Literal["succeed", "skip", "replace"]
#: With ``transfer`` the old document becomes private at the end, with ``transfer_keep`` it stays.
OnNewDocument = Literal["fail", "keep", "transfer", "transfer_keep"]
OnUncertain = Literal["fail", "send"]
#: A level of proof, strongest first: the stored checksum, the stored size, the date of the last
#: replacement.
ProofLevel = Literal["md5", "bytes", "changed"]
#: What a caller may demand: ``best`` is the strongest level that the service shows for the
#: document.
Proof = Literal["best", "md5", "bytes", "changed", "none"]

#: Longer than the client waits for an upload's answer, and than the longest processing that was
#: ever announced.
RESEND_GRACE = 600.0


class FolderPath(Protocol):
    """A folder: ``pathlib.Path``, ``ObjectStoragePath``, ``UPath``."""

    def __truediv__(self, name: str, /) -> Any: ...

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ReplaceRequest:
    """Which document gets which file.

    :param doc_id: the document, given as its number or the address of its page; kept as digits.
    :param file: the new file: ``pathlib.Path``, ``ObjectStoragePath``, ``UPath``.
    :param filename: the name that the service gets; the file's own by default.
    :param base_url: see :func:`~ipernity_provider.api.models.read_doc_id`.
    :param successor: the document that has taken the place of ``doc_id``, if one has.
    :raises Refused: ``doc_id`` is neither a number nor a document's page.
    """

    doc_id: Any
    file: Any
    filename: str | None = None
    base_url: InitVar[str | None] = None
    successor: str | None = None

    @property
    def target(self) -> str:
        """The document whose file is replaced."""
        return self.successor or self.doc_id

    def __post_init__(self, base_url: str | None) -> None:
        try:
            object.__setattr__(self, "doc_id", read_doc_id(self.doc_id, base_url))
        except ValueError as error:
            raise Refused(f"doc_id {error}. Nothing was sent.") from None


@dataclass(frozen=True, kw_only=True)
class ReplaceOptions:
    """How a file is replaced, whichever it is.

    :param upload_roots: folders or URIs of which one must hold the file; none: any file.
    :param if_unchanged: what to do if the document already carries these bytes: ``succeed`` and
        ``skip`` send nothing, ``replace`` sends them anyway.
    :param proof: what a document must show before the replacement counts as done: ``best`` (the
        strongest level that the service shows for it), ``md5``, ``bytes`` (or better), ``changed``
        (or better), ``none``.
    :param proof_seconds: how long to look for the proof; the service may call an upload done too
        early.
    :param on_new_document: ``fail``, or ``keep`` a document that the service created instead of
        replacing, or (experimental) ``transfer`` to it what the old one has besides its file, and
        make the old one private; ``transfer_keep`` leaves the old one as it is.
    :param makes_new_document: media classes of which this account is known to get a new document;
        with ``on_new_document="fail"`` these are refused before anything is sent.
    :param on_uncertain: ``fail``, or ``send`` (perhaps a second time) if the service does not show
        whether an earlier upload arrived.
    :param resend_grace: seconds that an upload without an answer has to show up before it counts as
        lost. The service shows nothing of an upload before it has processed it, so this must be
        longer than processing takes.
    :param check_account: ask for the token's permissions, the PRO account and the quota before
        sending.
    :param backup_to: folder to store the previous original in before anything is sent.
    :param dry_run: check everything, send nothing.
    :param asynchronous: take a ticket at once (``async=1``); else the upload call itself waits
        until the document is complete (``async=0``).
    :param poll_interval: longest pause between two checks of a ticket, in seconds.
    :param timeout: seconds to wait for the service to process the file.
    """

    upload_roots: Sequence[str] = ()
    if_unchanged: IfUnchanged = "succeed"
    proof: Proof = "best"
    proof_seconds: float = 15.0
    on_new_document: OnNewDocument = "fail"
    makes_new_document: frozenset[str] = frozenset()
    on_uncertain: OnUncertain = "fail"
    resend_grace: float = RESEND_GRACE
    check_account: bool = True
    backup_to: FolderPath | None = None
    dry_run: bool = False
    asynchronous: bool = True
    poll_interval: float = 30.0
    timeout: float = 3600.0

    @property
    def transfers(self) -> bool:
        """Whether a new document takes the place of the old one."""
        return self.on_new_document in {"transfer", "transfer_keep"}

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in get_args(choices):
                allowed = ", ".join(map(repr, get_args(choices)))
                raise Refused(
                    f"{name} is {value!r}; it must be one of {allowed}. Nothing was sent."
                )
        if self.poll_interval <= 0 or self.timeout < 0 or self.resend_grace < 0:
            raise Refused(
                "poll_interval must be above 0; timeout and resend_grace must not be negative."
                " Nothing was sent."
            )


_CHOICES: dict[str, Any] = {
    "if_unchanged": IfUnchanged,
    "proof": Proof,
    "on_new_document": OnNewDocument,
    "on_uncertain": OnUncertain,
}


@dataclass(frozen=True)
class Intent:
    """On whose behalf a replacement runs.

    Retries of a task share an intent; clearing the task begins another one.

    :param id: tells intents of one task apart.
    :param since: unix time since when earlier tries, or other tasks of the same run, may have sent
        the file.
    :param without_journal: an earlier try may have sent the file, and there is no journal that says
        so.
    :param others_cleared: it is a mapped task of a run that was cleared: before that, another task
        of the run may have had this document and file.
    """

    id: str = ""
    since: float | None = None
    without_journal: bool = False
    others_cleared: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a request.

    :param ticket: of the upload; None where nothing was sent or its answer was lost.
    :param new_doc_id: the document that carries the file, where it is not ``doc_id``: one that was
        created instead of replacing, or one that has taken its place before.
    :param bytes: size of the file that was (or would be) sent.
    :param md5: its checksum, lower-case hex; None where it was not read.
    :param proof: the level of proof reached; None where there was nothing to prove or no proof was
        asked for.
    :param url: the document's page.
    :param backup: where the previous original was stored.
    :param reason: one sentence for a person.
    :param new_url: the page of the new document, after a transfer.
    :param transferred: what it got of the old one.
    :param not_transferred: what it did not get, each with the reason.
    """

    outcome: Outcome
    doc_id: str
    ticket: str | None = None
    new_doc_id: str | None = None
    filename: str
    bytes: int
    md5: str | None
    proof: ProofLevel | None = None
    url: str | None = None
    backup: str | None = None
    reason: str = ""
    new_url: str | None = None
    transferred: Sequence[str] = ()
    not_transferred: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON-simple, always with the same keys."""
        return {**asdict(self), "transferred": list(self.transferred)}
