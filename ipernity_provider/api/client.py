"""IpernityClient: the calls of the ipernity API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from ipernity_provider.api.errors import DocumentNotFound, TicketNotFound, TransientError
from ipernity_provider.api.models import (
    Document,
    DocumentPage,
    MediaClass,
    Medias,
    Quota,
    Ticket,
    Token,
    Upload,
)
from ipernity_provider.api.multipart import BeforeLastBlock, FilePath, Progress
from ipernity_provider.api.parsing import Answer, Members, Payload
from ipernity_provider.api.signing import ApiSignature, OAuthMultipart, OAuthSignature
from ipernity_provider.api.transport import Param, Timeouts, Transport

DEFAULT_BASE_URL = "https://api.ipernity.com"
MAX_TICKETS_PER_CALL = 50
MAX_MD5_PER_CALL = 20
MAX_DOCUMENTS_PER_PAGE = 100
#: The most that is fetched of a file whose size is not known.
MAX_DOWNLOAD_BYTES = 4 << 30


class IpernityClient:
    """A connection to ipernity.com that signs its calls and reads the answers.

    Every method raises :class:`~ipernity_provider.api.errors.IpernityError`, typed by what can be
    done about it, and nothing else, whatever the service answers. Reading methods are tried again
    on transient errors, with growing, jittered pauses, or after the pause of up to 10 s that the
    service asks for (``Retry-After``). Uploads are not tried again, because an upload whose answer
    was lost may have been accepted. One client may be used by several threads.

    :param api_key: the application's key, from https://www.ipernity.com/apps/key.
    :param api_secret: the key's secret; never sent.
    :param auth: ``signature`` (the service's MD5 signature) or ``oauth`` (OAuth 1.0a).
    :param token: a user's token, of the kind that ``auth`` names; without one only public reads
        work.
    :param token_secret: of the OAuth token.
    :param oauth_multipart: what OAuth signs of an upload: its plain fields (``form_fields``, as
        clients known to work did), or none of them (``rfc5849``, the standard's rule).
    :param base_url: the service's root, without ``/api``; another one for the sandbox.
    :param lg: two-letter language sent with each call. Undocumented, but the service is reported to
        refuse calls without it since 2026; None switches it off.
    :param connect_timeout: seconds to wait for a connection.
    :param timeout: seconds from the end of a call until its whole answer must be there.
    :param upload_timeout: the same for an upload, from its last byte.
    :param stall_timeout: seconds within which the network must take each block (1 MiB) of an
        upload.
    :param verify: check the server's certificate: True, False, or the path of a CA file.
    :param proxy: address of a proxy for all calls; None takes the environment's.
    :param media_hosts: hosts (``name`` or ``name:port``) that media files may be fetched from,
        besides the service's own: its host, and for ``api.`` or ``www.`` all below its domain.
    :param attempts: how often a reading call is tried at most.
    """

    def __init__(
        self,
        api_key: str,
        api_secret: str,
        *,
        auth: Literal["signature", "oauth"] = "signature",
        token: str | None = None,
        token_secret: str | None = None,
        oauth_multipart: OAuthMultipart = "form_fields",
        base_url: str = DEFAULT_BASE_URL,
        lg: str | None = "en",
        connect_timeout: float = 10.0,
        timeout: float = 30.0,
        upload_timeout: float = 300.0,
        stall_timeout: float = 60.0,
        verify: bool | str = True,
        proxy: str | None = None,
        media_hosts: Sequence[str] = (),
        attempts: int = 4,
    ) -> None:
        self._oauth_token = token if auth == "oauth" else None
        self._transport = Transport(
            (
                OAuthSignature(api_key, api_secret, token, token_secret, oauth_multipart)
                if auth == "oauth"
                else ApiSignature(api_key, api_secret, token)
            ),
            base_url=base_url,
            lg=lg,
            timeouts=Timeouts(connect_timeout, timeout, upload_timeout, stall_timeout),
            verify=verify,
            proxy=proxy,
            media_hosts=media_hosts,
            attempts=attempts,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open between calls."""
        self._transport.close()

    # -- any method --------------------------------------------------------------------------------

    def call(self, method: str, /, **params: Param) -> Payload:
        """Call an API method and return its payload, the ``api`` envelope included.

        :param method: its dotted name, e.g. ``doc.get``.
        :param params: its parameters: lists are joined by commas, flags become 1 and 0, None is
            left out.
        """
        return self._transport.call(method, params)

    def exchange(self, method: str, /, **params: Param) -> Answer:
        """Make one signed call, once, and return its answer as it came: errors included.

        The answer has the HTTP status, the headers and the undecoded body. Everything else reads
        answers by :meth:`call`; this is for those who want to know what an answer looks like.

        :raises IpernityError: there is no answer.
        """
        return self._transport.exchange(method, params)

    # -- upload.* ----------------------------------------------------------------------------------

    def upload_replace(
        self,
        doc_id: str,
        file: str | FilePath,
        *,
        filename: str | None = None,
        asynchronous: bool = True,
        expected_md5: str | None = None,
        progress: Progress | None = None,
        before_last_block: BeforeLastBlock | None = None,
    ) -> Upload:
        """Send a file to stand behind an existing document (``upload.replace``), streamed, once.

        The service has been seen to create a *new* document instead: compare the ``doc_id`` of the
        finished ticket.

        :param filename: the name that the service gets; the file's own by default.
        :param asynchronous: a ticket comes at once (``async=1``); else the call waits until the
            document is complete.
        :param expected_md5: checksum of the file; a file that turns out to be another one is not
            completed.
        :param progress: called after each block (1 MiB) with the bytes sent so far and the size of
            the file.
        :param before_last_block: called once, before the last block leaves, with the MD5 checksum
            (hex) and the size of all that will have been sent. Until it returns, nothing can have
            arrived; what it raises ends the upload and comes out of this method unchanged, as does
            what ``progress`` raises.
        :raises IpernityError: if its ``maybe_accepted`` is set, the file may have arrived anyway.
            That is so for every end after the last block but one: the service's own refusal, other
            than for a fault, maintenance, too many calls or an OAuth nonce or timestamp. An upload
            that ends before its last block has left cannot have arrived, whatever was answered.
        """
        params: dict[str, Param] = {"doc_id": doc_id, "async": asynchronous}
        return self._upload(
            "upload.replace", params, file, filename, expected_md5, progress, before_last_block
        )

    def upload_file(
        self,
        file: str | FilePath,
        *,
        filename: str | None = None,
        asynchronous: bool = True,
        expected_md5: str | None = None,
        progress: Progress | None = None,
        before_last_block: BeforeLastBlock | None = None,
        **params: Param,
    ) -> Upload:
        """Send a file as a new document (``upload.file``).

        The other parameters are those of :meth:`upload_replace`.

        :param params: what the new document shall have: ``title``, ``description``, ``keywords``,
            ``is_public``, ...
        """
        fields: dict[str, Param] = {**params, "async": asynchronous}
        return self._upload(
            "upload.file", fields, file, filename, expected_md5, progress, before_last_block
        )

    def _upload(
        self,
        method: str,
        params: Mapping[str, Param],
        file: str | FilePath,
        filename: str | None,
        expected_md5: str | None,
        progress: Progress | None,
        before_last_block: BeforeLastBlock | None,
    ) -> Upload:
        path: FilePath = Path(file) if isinstance(file, str) else file
        reply = self._transport.upload(
            method,
            params,
            path,
            filename or path.name,
            expected_md5=expected_md5,
            progress=progress,
            before_last_block=before_last_block,
        )
        return Upload.from_reply(reply, method)

    def check_tickets(self, tickets: Iterable[str]) -> list[Ticket]:
        """Return the state of any number of tickets (``upload.checkTickets``), in the given order.

        They are asked for 50 at a time. One unknown ticket spoils its whole batch, which is then
        asked for singly; the unknown ones come back in the state ``unknown``.

        :raises ReplyInvalid: the answer is about another ticket.
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
            reply = self._transport.call("upload.checkTickets", {"tickets": batch})
        except TicketNotFound:
            if len(batch) == 1:
                return [Ticket(batch[0], "unknown")]
            return self._check_singly(batch)
        found = []
        for members in Members(reply, "upload.checkTickets").children("tickets", "ticket"):
            ticket = Ticket.from_members(members)
            _require_asked_for(members, "id", ticket.id, batch)
            found.append(ticket)
        return found

    def _check_singly(self, batch: Sequence[str]) -> list[Ticket]:
        """Return what is known before a transient error ends the round.

        The remaining tickets are left out and count as pending.
        """
        known: list[Ticket] = []
        for ticket in batch:
            try:
                known += self._check([ticket])
            except TransientError:
                if not known:
                    raise
                break
        return known

    # -- doc.* -------------------------------------------------------------------------------------

    def get_document(self, doc_id: str) -> Document:
        """Return the current state of a document (``doc.get``).

        It includes the checksum of its bytes if the service reports one.

        :raises ReplyInvalid: the answer is about another document.
        """
        reply = self._transport.call("doc.get", {"doc_id": doc_id, "extra": "md5"})
        document = Document.from_reply(reply)
        _require_asked_for(
            Members(reply, "doc.get").child("doc"), "doc_id", document.doc_id, [str(doc_id)]
        )
        return document

    def get_medias(self, doc_id: str) -> Medias:
        """Return the files of a document (``doc.getMedias``).

        The reply does not have to name the document.
        """
        reply = self._transport.call("doc.getMedias", {"doc_id": doc_id})
        members = Members(reply, "doc.getMedias")
        _require_asked_for(members, "doc_id", members.id("doc_id"), [str(doc_id), None])
        return Medias.from_reply(reply)

    def get_recent_documents(self, user_id: str) -> list[Document]:
        """Return the first page of a user's documents, see :meth:`get_documents`."""
        return list(self.get_documents(user_id).documents)

    def get_documents(
        self,
        user_id: str,
        *,
        page: int = 1,
        media: MediaClass | None = None,
        text: str | None = None,
        album_id: str | None = None,
        posted_since: int | None = None,
    ) -> DocumentPage:
        """Return one page of up to 100 of a user's documents.

        This is ``doc.getList``; as far as is known, the newest come first. With one of the last
        three parameters it is ``doc.search``, whose results for a text end at the 3000th.

        :param page: counted from 1.
        :param media: only documents of this class.
        :param text: only documents that the service finds by it.
        :param album_id: only documents of this album.
        :param posted_since: unix seconds; only documents that were posted since.
        :raises ReplyInvalid: a document names another owner; most answers name none.
        """
        search: dict[str, Param] = {
            "text": text,
            "album_id": album_id,
            "posted_min": posted_since,
        }
        method = "doc.getList" if set(search.values()) == {None} else "doc.search"
        reply = self._transport.call(
            method,
            {
                "user_id": user_id,
                "media": media,
                "extra": ["dates", "original", "md5"],
                "per_page": MAX_DOCUMENTS_PER_PAGE,
                "page": page,
                **search,
            },
        )
        for members in Members(reply, method).children("docs", "doc"):
            owner = members.child("owner")
            _require_asked_for(owner, "user_id", owner.id("user_id"), [str(user_id), None])
        return DocumentPage.from_reply(reply, method, page, MAX_DOCUMENTS_PER_PAGE)

    def check_md5(self, sums: Iterable[str]) -> dict[str, list[str]]:
        """Return which documents have these MD5 checksums (``doc.checkMD5``).

        The result maps each checksum to a list of document ids, which is empty if there are none.

        They are asked for 20 at a time. Hits may be other people's documents or deleted ones.

        :raises ReplyInvalid: the answer is about another checksum.
        """
        wanted = [checksum.lower() for checksum in sums]
        hits: dict[str, list[str]] = {checksum: [] for checksum in wanted}
        for batch in _batches(list(hits), MAX_MD5_PER_CALL):
            try:
                reply = self._transport.call("doc.checkMD5", {"md5": batch})
            except DocumentNotFound:
                continue  # documented as the answer when nothing matches
            for hit in Members(reply, "doc.checkMD5").children("docs", "doc"):
                md5 = hit.md5("md5")
                _require_asked_for(hit, "md5", md5, batch)
                if md5 and (doc_id := hit.id("doc_id")):
                    hits[md5].append(doc_id)
        return hits

    # -- account, token, test ----------------------------------------------------------------------

    def get_quota(self) -> Quota:
        """Return what the account may still upload (``account.getQuota``)."""
        return Quota.from_reply(self._transport.call("account.getQuota", {}))

    def check_token(self) -> Token:
        """Return whose token this is and what it allows (``auth.checkToken``)."""
        # With OAuth the method still requires its documented parameter, and takes the OAuth token
        # for it.
        return Token.from_reply(
            self._transport.call("auth.checkToken", {"auth_token": self._oauth_token})
        )

    def echo(self, text: str = "hello") -> str:
        """Return what the service received (``test.echo``).

        This proves that the address, the key and the character set are right.
        """
        return Members(self._transport.call("test.echo", {"echo": text}), "test.echo").text("echo")

    # -- media files -------------------------------------------------------------------------------

    def download(
        self, url: str, *, max_bytes: int = MAX_DOWNLOAD_BYTES, total_timeout: float = 3600.0
    ) -> Iterator[bytes]:
        """Yield the bytes of a media file, block by block.

        Up to five redirects are followed; the request carries neither a signature nor a token. Each
        address must be one of the media hosts, and must not lead into this machine or its network
        unless the service is there, too.

        :param url: from :meth:`get_medias`.
        :param max_bytes: the most that is fetched.
        :param total_timeout: seconds until all of it must be there.
        :raises PermanentError: the address is not allowed, or the file is longer than
            ``max_bytes``.
        """
        return self._transport.download(url, max_bytes, total_timeout)


def _batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _require_asked_for(
    members: Members, name: str, found: str | None, asked_for: Sequence[str | None]
) -> None:
    """Raise if an answer is about something else: a cache or a proxy has mixed up answers."""
    if found not in asked_for:
        raise members.invalid(name, "what was asked for")
