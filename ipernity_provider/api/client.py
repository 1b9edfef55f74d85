"""IpernityClient: the calls of the ipernity API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from ipernity_provider.api.calls import Param, SignedCalls, Timeouts
from ipernity_provider.api.errors import DocumentNotFound, TicketNotFound, TransientError
from ipernity_provider.api.models import Document, Medias, Quota, Ticket, Token, Upload
from ipernity_provider.api.reply import Payload, as_list, as_text
from ipernity_provider.api.signing import ApiSignature, OAuthSignature
from ipernity_provider.api.upload import FilePath, Progress

DEFAULT_BASE_URL = "https://api.ipernity.com"
MAX_TICKETS_PER_CALL = 50
MAX_MD5_PER_CALL = 20


class IpernityClient:
    """A connection to ipernity.com that signs its calls and reads the answers.

    Every method raises :class:`~ipernity_provider.api.errors.IpernityError`, typed by what can be done about it.
    Reading methods are tried again on transient errors, with growing, jittered pauses; uploads never are, for an
    upload whose answer was lost may have been accepted. One client may be used by several threads.

    :param api_key: the application's key, from https://www.ipernity.com/apps/key.
    :param api_secret: the key's secret; never sent.
    :param auth: ``signature`` (the service's MD5 signature) or ``oauth`` (OAuth 1.0a).
    :param token: a user's token, of the kind that ``auth`` names; without one only public reads work.
    :param token_secret: of the OAuth token.
    :param base_url: the service's root, without ``/api``; another one for the sandbox.
    :param lg: two-letter language sent with each call. Undocumented, but the service is reported to refuse calls
        without it since 2026; None switches it off.
    :param connect_timeout: seconds to wait for a connection.
    :param timeout: seconds to wait for the answer to a call.
    :param upload_timeout: seconds to wait for the answer once a file was sent.
    :param stall_timeout: seconds within which the network must take each block (1 MiB) of an upload.
    :param verify: check the server's certificate: True, False, or the path of a CA file.
    :param proxy: address of a proxy for all calls; None takes the environment's.
    :param attempts: how often a reading call is tried at the most.
    """

    def __init__(
        self,
        api_key: str,
        api_secret: str,
        *,
        auth: Literal["signature", "oauth"] = "signature",
        token: str | None = None,
        token_secret: str | None = None,
        base_url: str = DEFAULT_BASE_URL,
        lg: str | None = "en",
        connect_timeout: float = 10.0,
        timeout: float = 30.0,
        upload_timeout: float = 300.0,
        stall_timeout: float = 60.0,
        verify: bool | str = True,
        proxy: str | None = None,
        attempts: int = 4,
    ) -> None:
        self._oauth_token = token if auth == "oauth" else None
        self._calls = SignedCalls(
            OAuthSignature(api_key, api_secret, token, token_secret)
            if auth == "oauth"
            else ApiSignature(api_key, api_secret, token),
            base_url=base_url,
            lg=lg,
            timeouts=Timeouts(connect_timeout, timeout, upload_timeout, stall_timeout),
            verify=verify,
            proxy=proxy,
            attempts=attempts,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open between calls."""
        self._calls.close()

    # -- any method ----------------------------------------------------------------------------------------------

    def call(self, method: str, /, **params: Param) -> Payload:
        """Call an API method and return its payload, the ``api`` envelope included.

        :param method: its dotted name, e.g. ``doc.get``.
        :param params: its parameters: lists are joined by commas, flags become 1 and 0, None is left out.
        """
        return self._calls.call(method, params)

    # -- upload.* ------------------------------------------------------------------------------------------------

    def upload_replace(
        self,
        doc_id: str,
        file: str | FilePath,
        *,
        filename: str | None = None,
        asynchronous: bool = True,
        md5: str | None = None,
        progress: Progress | None = None,
    ) -> Upload:
        """Send a file to stand behind an existing document (``upload.replace``), streamed, once.

        The service has been seen to create a *new* document instead: compare the ``doc_id`` of the finished ticket.

        :param filename: the name that the service is told; the file's own by default.
        :param asynchronous: a ticket comes at once (``async=1``); else the call waits until the document is complete.
        :param md5: expected checksum of the file; a file that turns out to be another one is not completed.
        :raises IpernityError: if its ``maybe_accepted`` is set the file may have arrived all the same.
        """
        params: dict[str, Param] = {"doc_id": doc_id, "async": asynchronous}
        return self._upload("upload.replace", params, file, filename, md5, progress)

    def upload_file(
        self,
        file: str | FilePath,
        *,
        filename: str | None = None,
        asynchronous: bool = True,
        md5: str | None = None,
        progress: Progress | None = None,
        **params: Param,
    ) -> Upload:
        """Send a file as a new document (``upload.file``); parameters as for :meth:`upload_replace`.

        :param params: what the new document shall have: ``title``, ``description``, ``keywords``, ``is_public``, ...
        """
        return self._upload("upload.file", {**params, "async": asynchronous}, file, filename, md5, progress)

    def _upload(
        self,
        method: str,
        params: Mapping[str, Param],
        file: str | FilePath,
        filename: str | None,
        md5: str | None,
        progress: Progress | None,
    ) -> Upload:
        path: FilePath = Path(file) if isinstance(file, str) else file
        reply = self._calls.upload(method, params, path, filename or path.name, md5, progress)
        return Upload(as_text(reply.get("ticket")) or None, as_text(reply.get("doc_id")) or None)

    def check_tickets(self, tickets: Iterable[str]) -> list[Ticket]:
        """The state of any number of tickets (``upload.checkTickets``), in the order asked for.

        They are asked for 50 at a time. One unknown ticket spoils its whole batch, which is then asked for singly;
        the unknown ones come back in the state ``unknown``.
        """
        wanted = list(dict.fromkeys(tickets))
        found = {
            ticket.id: ticket
            for batch in _batches(wanted, MAX_TICKETS_PER_CALL)
            for ticket in self._check(batch)
        }
        # A ticket that the answer leaves out is treated as one that is not finished.
        return [found.get(ticket, Ticket(ticket, "pending")) for ticket in wanted]

    def _check(self, batch: Sequence[str]) -> list[Ticket]:
        try:
            reply = self._calls.call("upload.checkTickets", {"tickets": batch})
        except TicketNotFound:
            if len(batch) == 1:
                return [Ticket(batch[0], "unknown")]
            return self._check_singly(batch)
        return [Ticket.from_payload(ticket) for ticket in as_list(reply.get("tickets"), "ticket")]

    def _check_singly(self, batch: Sequence[str]) -> list[Ticket]:
        """What is known before a transient error ends the round; the rest counts as pending."""
        known: list[Ticket] = []
        for ticket in batch:
            try:
                known += self._check([ticket])
            except TransientError:
                if not known:
                    raise
                break
        return known

    # -- doc.* ---------------------------------------------------------------------------------------------------

    def get_document(self, doc_id: str) -> Document:
        """A document as it is now, with the checksum of its bytes where the service says it (``doc.get``)."""
        return Document.from_reply(self._calls.call("doc.get", {"doc_id": doc_id, "extra": "md5"}))

    def get_medias(self, doc_id: str) -> Medias:
        """The files of a document (``doc.getMedias``)."""
        return Medias.from_reply(self._calls.call("doc.getMedias", {"doc_id": doc_id}))

    def get_recent_documents(self, user_id: str) -> list[Document]:
        """The first page of a user's documents (``doc.getList``), newest first as far as is known."""
        extra = ["dates", "original", "md5"]
        reply = self._calls.call("doc.getList", {"user_id": user_id, "extra": extra, "per_page": 100})
        return [Document.from_reply({"doc": doc}) for doc in as_list(reply.get("docs"), "doc")]

    def check_md5(self, sums: Iterable[str]) -> dict[str, list[str]]:
        """Which documents carry these MD5 checksums (``doc.checkMD5``): checksum -> document ids, empty if none.

        They are asked for 20 at a time. Hits may be other people's documents or deleted ones.
        """
        wanted = [checksum.lower() for checksum in sums]
        hits: dict[str, list[str]] = {checksum: [] for checksum in wanted}
        for batch in _batches(list(hits), MAX_MD5_PER_CALL):
            try:
                reply = self._calls.call("doc.checkMD5", {"md5": batch})
            except DocumentNotFound:
                continue  # documented as the answer when nothing matches
            for hit in as_list(reply.get("docs"), "doc"):
                if doc_id := as_text(hit.get("doc_id")):
                    hits.setdefault(as_text(hit.get("md5")).lower(), []).append(doc_id)
        return hits

    def delete_document(self, doc_id: str) -> None:
        """Delete one of the token owner's documents for good (``doc.delete``); needs the permission doc: delete."""
        self._calls.call("doc.delete", {"doc_id": doc_id})

    # -- account, token, test ------------------------------------------------------------------------------------

    def get_quota(self) -> Quota:
        """What the account may still upload (``account.getQuota``)."""
        return Quota.from_reply(self._calls.call("account.getQuota", {}))

    def check_token(self) -> Token:
        """Whose token this is and what it allows (``auth.checkToken``)."""
        # With OAuth the method still requires its documented parameter, and takes the OAuth token for it.
        return Token.from_reply(self._calls.call("auth.checkToken", {"auth_token": self._oauth_token}))

    def echo(self, text: str = "hello") -> str:
        """What the service heard (``test.echo``): proof of the address, the key and the character set."""
        return as_text(self._calls.call("test.echo", {"echo": text}).get("echo"))

    # -- media files ---------------------------------------------------------------------------------------------

    def download(self, url: str) -> Iterator[bytes]:
        """The bytes of a media file, block by block; the address comes from :meth:`get_medias` and is not signed."""
        return self._calls.download(url)


def _batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
