"""IpernityClient: the calls of the ipernity API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from ipernity_provider import metrics
from ipernity_provider.api.download import MediaHosts, download
from ipernity_provider.api.errors import DocumentNotFound, TicketNotFound, TransientError
from ipernity_provider.api.exchange import Answer
from ipernity_provider.api.models import (
    MAX_DOCUMENTS_PER_PAGE,
    Document,
    DocumentPage,
    Match,
    Media,
    MediaClass,
    Medias,
    Quota,
    Ticket,
    Token,
    Upload,
)
from ipernity_provider.api.multipart import BeforeLastBlock, FilePath, Progress
from ipernity_provider.api.parsing import Payload, as_text, parse, parse_all
from ipernity_provider.api.signing import ApiSignature, OAuthMultipart, OAuthSignature
from ipernity_provider.api.transport import Param, Timeouts, Transport
from ipernity_provider.text import clean_text

DEFAULT_BASE_URL = "https://api.ipernity.com"
MAX_TICKETS_PER_CALL = 50
MAX_MD5_PER_CALL = 20
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
        self._media_hosts = (base_url, media_hosts)
        self._download_timeout = (connect_timeout, timeout)
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
            attempts=attempts,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.http.close()

    def close(self) -> None:
        """Close the connections that are kept open between calls."""
        self._transport.http.close()

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
        path: FilePath = Path(file) if isinstance(file, str) else file
        metrics.sink.incr("ipernity.uploads")
        reply = self._transport.upload(
            "upload.replace",
            {"doc_id": doc_id, "async": asynchronous},
            path,
            filename or path.name,
            expected_md5=expected_md5,
            progress=progress,
            before_last_block=before_last_block,
        )
        return parse(Upload, reply, "upload.replace")

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
        path: FilePath = Path(file) if isinstance(file, str) else file
        reply = self._transport.upload(
            "upload.file",
            {**params, "async": asynchronous},
            path,
            filename or path.name,
            expected_md5=expected_md5,
            progress=progress,
            before_last_block=before_last_block,
        )
        return parse(Upload, reply, "upload.file")

    def check_tickets(self, tickets: Iterable[str]) -> list[Ticket]:
        """Return the state of any number of tickets (``upload.checkTickets``), in the given order.

        They are asked for 50 at a time. One unknown ticket spoils its whole batch, which is then
        asked for singly; the unknown ones come back in the state ``unknown``. A transient error
        between those ends the round: the remaining tickets count as pending.

        :raises ReplyInvalid: the answer is about another ticket.
        """
        wanted = list(dict.fromkeys(tickets))
        # A ticket that an answer leaves out is treated as one that is not finished.
        found = {ticket: Ticket(ticket, "pending") for ticket in wanted}
        for start in range(0, len(wanted), MAX_TICKETS_PER_CALL):
            batch = wanted[start : start + MAX_TICKETS_PER_CALL]
            found |= {ticket.id: ticket for ticket in self._check_batch(batch)}
        return list(found.values())

    def _check_batch(self, batch: Sequence[str]) -> list[Ticket]:
        method = "upload.checkTickets"
        try:
            reply = self._transport.call(method, {"tickets": batch})
        except TicketNotFound:
            if len(batch) == 1:
                return [Ticket(batch[0], "unknown")]
        else:
            return parse_all(Ticket, reply, method, "tickets.ticket", asked_for=("id", batch))
        known: list[Ticket] = []
        for ticket in batch:
            try:
                known += self._check_batch([ticket])
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
        return parse(Document, reply, "doc.get", "doc", asked_for=("doc_id", [str(doc_id)]))

    def get_medias(self, doc_id: str) -> Medias:
        """Return the files of a document (``doc.getMedias``).

        The reply does not have to name the document.
        """
        method = "doc.getMedias"
        reply = self._transport.call(method, {"doc_id": doc_id})
        medias = parse(Medias, reply, method, asked_for=("doc_id", [str(doc_id), None]))
        original = parse(Media, reply, method, "original") if reply.get("original") else None
        return replace(
            medias,
            original=original and replace(original, label=original.label or "original"),
            renditions=tuple(parse_all(Media, reply, method, "medias.media")),
        )

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
        listed = parse(DocumentPage, reply, method)
        owner = ("owner_id", [str(user_id), ""])
        documents = parse_all(Document, reply, method, "docs.doc", asked_for=owner)
        return replace(listed, documents=tuple(documents), page=page)

    def check_md5(self, sums: Iterable[str]) -> dict[str, list[str]]:
        """Return which documents have these MD5 checksums (``doc.checkMD5``).

        The result maps each checksum to a list of document ids, which is empty if there are none.

        They are asked for 20 at a time. Hits may be other people's documents or deleted ones.

        :raises ReplyInvalid: the answer is about another checksum.
        """
        hits: dict[str, list[str]] = {checksum.lower(): [] for checksum in sums}
        wanted = list(hits)
        for start in range(0, len(wanted), MAX_MD5_PER_CALL):
            batch = wanted[start : start + MAX_MD5_PER_CALL]
            try:
                reply = self._transport.call("doc.checkMD5", {"md5": batch})
            except DocumentNotFound:
                continue  # documented as the answer when nothing matches
            for hit in parse_all(
                Match, reply, "doc.checkMD5", "docs.doc", asked_for=("md5", batch)
            ):
                if hit.md5 and hit.doc_id:
                    hits[hit.md5].append(hit.doc_id)
        return hits

    # -- account, token, test ----------------------------------------------------------------------

    def get_quota(self) -> Quota:
        """Return what the account may still upload (``account.getQuota``)."""
        reply = self._transport.call("account.getQuota", {})
        return parse(Quota, reply, "account.getQuota", "quota")

    def check_token(self) -> Token:
        """Return whose token this is and what it allows (``auth.checkToken``)."""
        # With OAuth the method still requires its documented parameter, and takes the OAuth token
        # for it.
        reply = self._transport.call("auth.checkToken", {"auth_token": self._oauth_token})
        return parse(Token, reply, "auth.checkToken", "auth")

    def echo(self, text: str = "hello") -> str:
        """Return what the service received (``test.echo``).

        This proves that the address, the key and the character set are right.
        """
        reply = self._transport.call("test.echo", {"echo": text})
        return clean_text(as_text(reply.get("echo")), 64 << 10)

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
        http = self._transport.http
        hosts = MediaHosts(*self._media_hosts, http.service_address)
        return download(http, hosts, url, self._download_timeout, max_bytes, total_timeout)
