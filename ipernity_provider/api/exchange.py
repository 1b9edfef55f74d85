"""HTTP within limits: a request, its whole answer, and whose word that is.

No redirect is followed, no cookie is kept and no ``.netrc`` is read. Each answer must be there as a
whole after a limited time, and has a limited number of bytes. The time limit of an HTTP library
holds for each read of the socket, so that a byte every few seconds keeps a call for ever: in the
headers, in the body, or in any number of ``100 Continue``. Here every read of an answer goes
through one object that knows when all of it must be there. What cannot be limited from here is how
long the system takes to look a name up; and the time for connecting holds for each of a host's
addresses.
"""

from __future__ import annotations

import http.client
import io
import re
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from ipernity_provider import __version__
from ipernity_provider.api.errors import (
    FILE_MAY_HAVE_ARRIVED,
    AnswerLost,
    BrokenOff,
    IpernityError,
    PermanentError,
    RateLimited,
    StaleSignature,
    api_error,
)
from ipernity_provider.api.parsing import (
    MAX_REPLY_BYTES,
    Payload,
    as_int,
    as_text,
    decode,
    http_date,
)
from ipernity_provider.api.signing import ahead_of_service, explain_stale_signature
from ipernity_provider.text import clean_text

#: The longest pause that a service may ask for, in seconds.
LONGEST_RETRY_AFTER = 6 * 3600.0
_REPLY_BLOCK = 64 << 10
# Of the statuses from 400, these pass by themselves.
_PASSING = frozenset({408, 421, 423, 425, 429})


@dataclass(frozen=True)
class Answer:
    """What came back over the wire.

    :param upload_ended: for an upload: whether its last byte had left when this answer came; None
        for any other call.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    upload_ended: bool | None = None

    @property
    def is_passing(self) -> bool:
        """Whether this HTTP error status is expected to pass by itself."""
        return self.status >= 500 or self.status in _PASSING

    @property
    def retry_after(self) -> float | None:
        """The seconds to wait according to the header ``Retry-After``.

        Six hours at most; None if there is no usable value.
        """
        value = self.headers.get("Retry-After", "").strip()
        if re.fullmatch("[0-9]{1,12}", value):
            return min(float(value), LONGEST_RETRY_AFTER)
        if (until := http_date(value)) is None:
            return None
        # By the clock of the one who wrote both, where he wrote both.
        now = http_date(self.headers.get("Date")) or datetime.now(UTC).timestamp()
        return min(max(0.0, until - now), LONGEST_RETRY_AFTER)


@dataclass(frozen=True)
class Limits:
    """What holds for one request.

    :param seconds: for all of the answer, from the end of the request.
    :param bytes: of its headers and its body as they travel; None for any number.
    :param on_connect: is given the IP address of a new connection before anything is sent over it.
        What it raises ends the connection, and comes out of the request unchanged unless it is an
        ``OSError``. Behind a proxy it is not called: the address is the proxy's, and which one that
        connects to is for the proxy to decide.
    """

    seconds: float
    bytes: int | None
    on_connect: Callable[[str], object]


class AnswerTooLong(OSError):
    """The answer has more bytes than it may have."""


_limits: ContextVar[Limits | None] = ContextVar("limits", default=None)


class _LimitedReader(io.RawIOBase):
    """The reading side of a socket, up to a time and a number of bytes."""

    def __init__(self, raw: io.RawIOBase, sock: Any, limits: Limits) -> None:
        self._raw = raw
        self._sock = sock
        self._pause = sock.gettimeout()
        self._end = time.monotonic() + limits.seconds
        self._bytes_left = limits.bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left if self._pause is None else min(left, self._pause))
        count = self._raw.readinto(buffer)
        if self._bytes_left is not None:
            self._bytes_left -= count or 0
            if self._bytes_left < 0:
                raise AnswerTooLong
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedResponse(http.client.HTTPResponse):
    """An answer that is read within its limits; this includes a proxy's answer to ``CONNECT``."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        if limits := _limits.get():
            self.fp = io.BufferedReader(_LimitedReader(self.fp.detach(), sock, limits))

    def begin(self) -> None:
        super().begin()
        # http.client skips 100 alone. The answer comes after 102 and 103, too, and must not be left
        # for the next call.
        while 100 < self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()


class _Limited:
    """Makes a kind of connection read limited answers, whatever it connects to."""

    response_class = _LimitedResponse

    def _new_conn(self) -> Any:
        sock = super()._new_conn()  # type: ignore[misc]
        limits = _limits.get()
        if limits and self.proxy is None and not hasattr(self, "_socks_options"):  # type: ignore[attr-defined]
            try:
                limits.on_connect(sock.getpeername()[0])
            except BaseException:
                sock.close()
                raise
        return sock


@cache
def _limited(connection: type) -> type:
    return type(connection.__name__, (_Limited, connection), {})


class HttpClient(HTTPAdapter):
    """Connections that are kept open, and the way to each host.

    It is requests' adapter, not its session: that one follows redirects, reads all of their
    answers, and keeps cookies.

    :param verify: True, False, or the path of a CA file.
    :param proxy: for all addresses; None takes the environment's.
    :ivar service_address: the IP address from which the first call was answered; None before, and
        behind a proxy.
    """

    def __init__(self, verify: bool | str, proxy: str | None) -> None:
        super().__init__()
        self._verify = verify
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._routes: dict[str, dict[str, Any]] = {}
        self.service_address: str | None = None

    def close(self) -> None:
        """Close all connections at once.

        urllib3 closes them when a pool is garbage-collected, which a traceback can delay.
        """
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it is not a dict
                if pool := manager.pools.get(key):
                    pool.close()
        super().close()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not issubclass(pool.ConnectionCls, _Limited):
            pool.ConnectionCls = _limited(pool.ConnectionCls)
        return pool

    def route_to(self, url: str) -> dict[str, Any]:
        """Return proxies and trusted certificates for an address.

        The client's own settings come first, then those of the environment, which is read once for
        each host: left to itself, requests reads it at each call.
        """
        try:
            parts = urlsplit(url)
            place = f"{parts.scheme}://{parts.netloc}"
            if place not in self._routes:
                route = requests.Session().merge_environment_settings(
                    url, self._proxies, None, self._verify, None
                )
                self._routes[place] = {"proxies": route["proxies"], "verify": route["verify"]}
        except ValueError:
            raise PermanentError(
                f"{host_of(url)} is not a valid address. Check the connection's host and proxy."
            ) from None
        return self._routes[place]

    def open(
        self, request: requests.PreparedRequest, timeout: tuple[float, float], limits: Limits
    ) -> requests.Response:
        """Send a request and return its response, whose body is not read yet.

        :param timeout: seconds for connecting, and for each block of a body that is sent; seconds
            for each read of the answer.
        :raises Exception: whatever these libraries raise; see :func:`.transport.transport_error`.
        """
        request.headers.setdefault("Accept", "*/*")
        request.headers["User-Agent"] = (
            f"airflow-provider-ipernity/{__version__} {requests.utils.default_user_agent()}"
        )
        token = _limits.set(limits)
        try:
            route = self.route_to(request.url or "")
            return self.send(request, stream=True, timeout=timeout, **route)
        finally:
            _limits.reset(token)

    def exchange(self, request: requests.Request, timeout: tuple[float, float]) -> Answer:
        """Make a call of the service and return the whole answer.

        :param timeout: seconds for connecting, and for each block of a body that is sent; seconds
            from the end of the request until the whole answer is there.
        :raises Exception: whatever these libraries raise; see :func:`.transport.transport_error`.
        """
        addresses: list[str] = []
        limits = Limits(timeout[1], MAX_REPLY_BYTES, addresses.append)
        response = self.open(request.prepare(), timeout, limits)
        try:
            blocks = []
            while block := response.raw.read(_REPLY_BLOCK, decode_content=False):
                blocks.append(block)
        finally:
            response.close()
        body = b"".join(blocks)
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding in {"gzip", "x-gzip", "deflate"}:
            with suppress(zlib.error):  # whether it is a reply is decided later
                body = zlib.decompressobj(wbits=47).decompress(body, MAX_REPLY_BYTES + 1)
            if len(body) > MAX_REPLY_BYTES:
                raise AnswerTooLong
        self.service_address = self.service_address or next(iter(addresses), None)
        return Answer(response.status_code, body, response.headers)


def host_of(url: str) -> str:
    """Return name and port of an address, without the credentials that it may carry."""
    try:
        return clean_text(urlsplit(url).netloc.rpartition("@")[2], 300) or "the address"
    except ValueError:
        return "the address"


# -- whose word an answer is -----------------------------------------------------------------------
#
# Only a well-formed reply of the service itself, with its envelope, is the service's word. A page
# of a proxy, a redirect, an empty or a broken answer says nothing about what the service did,
# whatever its HTTP status is.


def parse_reply(method: str, answer: Answer, subject: str = "") -> Payload:
    """Return the payload of a successful reply, the ``api`` envelope included.

    :param subject: what the call was about, e.g. ``document 5412``.
    :raises IpernityError: the typed error for an error reply, or for an answer that is not the
        service's.
    """
    envelope = decode(answer.body)
    api = envelope["api"] if envelope and isinstance(envelope["api"], dict) else {}
    status, code = api.get("status"), as_int(api.get("code"))
    if envelope and status == "ok" and 200 <= answer.status < 300:
        if answer.upload_ended is False:
            raise AnswerLost(
                f"{method}: the service answered before the whole file was sent."
                f" {FILE_MAY_HAVE_ARRIVED}",
                method=method,
            )
        return envelope
    if status != "ok" and isinstance(status, str) and code is not None and 0 <= code < 10_000:
        error = api_error(
            method,
            code,
            as_text(api.get("message")),
            subject,
            upload_ended=answer.upload_ended,
            retry_after=answer.retry_after,
        )
        if isinstance(error, StaleSignature):
            ahead = ahead_of_service({"api": api}, answer.headers.get("Date"))
            error = explain_stale_signature(error, ahead)
        raise error
    what = "a reply with neither a result nor an error code"
    if answer.body[:512].lstrip().lower().startswith((b"<!doctype", b"<html")):
        what = "a web page"
    elif not answer.body.strip():
        what = "nothing"
    elif envelope is None:
        what = "something unreadable or cut off"
    raise _lost_answer(method, answer, what)


def _lost_answer(method: str, answer: Answer, what: str) -> IpernityError:
    """Return the error for an answer that is not the service's own.

    Once the last byte of an upload is sent, only an answer of the service itself proves a refusal.
    """
    status = answer.status
    found = f"HTTP {status} with {what} instead of the service's answer"
    kind: type[IpernityError] = AnswerLost
    if answer.upload_ended:
        why = f"the answer is {found}: maintenance, or a proxy in between? {FILE_MAY_HAVE_ARRIVED}"
    elif answer.upload_ended is False and (status < 400 or answer.is_passing):
        kind = BrokenOff
        why = f"{found} came before the file was through; nothing was replaced. Try again later."
    elif answer.upload_ended is False:
        kind = PermanentError
        why = (
            f"{found} came before the file was through; nothing was replaced. Something between"
            " here and the service refuses the upload: check the connection's host and proxy, and"
            " how large a file they let through."
        )
    elif status == 429:
        why = "too many calls (HTTP 429). Wait, or call less often."
    elif answer.is_passing:
        why = f"the service failed with HTTP {status}. Try again later."
    elif status >= 400:
        kind = PermanentError
        why = (
            f"refused with HTTP {status} and {what} instead of data. Check the connection's host"
            " and proxy, and that its extra does not switch `lg` off: the service seems to refuse"
            " calls without it."
        )
    elif status >= 300 and _is_moved(method, answer.headers.get("Location", "")):
        kind = PermanentError
        why = (
            f"HTTP {status} sends the call to another address; it was not followed, because that"
            " would lose the posted data. Set the connection's host to the right address (https?)."
        )
    else:
        why = (
            f"the answer is {what} instead of data (HTTP {status}): maintenance, or a proxy in"
            " between?"
        )
    return (RateLimited if status == 429 else kind)(
        f"{method}: {why}",
        method=method,
        maybe_accepted=answer.upload_ended,
        retry_after=answer.retry_after,
    )


def _is_moved(method: str, location: str) -> bool:
    """Return whether a redirect leads to the same call elsewhere, or to some web page."""
    try:
        return f"/{method}/" in urlsplit(location).path
    except ValueError:
        return False
