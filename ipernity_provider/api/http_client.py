"""Plain HTTP within limits: requests and their whole answers, and media files block by block.

No redirect of a call is followed, no cookie is kept and no ``.netrc`` is read. Each answer must be
there as a whole after a limited time, and has a limited number of bytes. What cannot be limited
from here is how long the system takes to look a name up; and the time for connecting holds for each
of a host's addresses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from ipernity_provider import __version__
from ipernity_provider.api.errors import AnswerLost, IpernityError, PermanentError
from ipernity_provider.api.http_limits import (
    AnswerLimits,
    AnswerTooLong,
    LimitedAdapter,
    answer_limits,
    on_connect,
)
from ipernity_provider.api.media_hosts import MediaHosts
from ipernity_provider.api.multipart import BLOCK_BYTES
from ipernity_provider.api.network_errors import host_of, transport_error
from ipernity_provider.api.parsing import MAX_REPLY_BYTES, Answer, as_int, inflate, is_http_url
from ipernity_provider.api.replies import is_passing
from ipernity_provider.api.signing import HttpMethod

_MOST_REDIRECTS = 5
_REPLY_BLOCK = 64 << 10


class HttpClient:
    """Connections that are kept open, and the way to the service.

    :param verify: True, False, or the path of a CA file.
    :param proxy: for all addresses; None takes the environment's.
    :param media_hosts: where files may be fetched from.
    """

    def __init__(self, verify: bool | str, proxy: str | None, media_hosts: MediaHosts) -> None:
        self._verify = verify
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._media_hosts = media_hosts
        self._adapter = LimitedAdapter()
        self._routes: dict[str, dict[str, Any]] = {}
        self._headers = {
            "User-Agent": (
                f"airflow-provider-ipernity/{__version__} {requests.utils.default_user_agent()}"
            ),
            "Accept": "*/*",
        }

    def close(self) -> None:
        """Close the connections that are kept open between calls."""
        self._adapter.close()

    def exchange(
        self,
        http: HttpMethod,
        url: str,
        headers: Mapping[str, str],
        timeout: tuple[float, float],
        **content: Any,
    ) -> Answer:
        """Make a request and return the whole answer.

        :param timeout: seconds for connecting, and for each block of a body that is sent; seconds
            from the end of the request until the whole answer is there.
        :param content: the parameters or the body, as requests takes them.
        :raises Exception: whatever these libraries raise.
        """
        request = requests.Request(
            http, url, headers={**self._headers, **headers}, **content
        ).prepare()
        addresses: list[str] = []
        with answer_limits(AnswerLimits(timeout[1], MAX_REPLY_BYTES)), on_connect(addresses.append):
            # Not by a session, which follows redirects, reads all of their answers, and keeps
            # cookies.
            response = self._adapter.send(
                request, stream=True, timeout=timeout, **self.route_to(url)
            )
        try:
            blocks = []
            while block := response.raw.read(_REPLY_BLOCK, decode_content=False):
                blocks.append(block)
        finally:
            response.close()
        body = inflate(b"".join(blocks), response.headers.get("Content-Encoding", ""))
        if body is None:
            raise AnswerTooLong
        for address in addresses:
            self._media_hosts.note_service(address)
        return Answer(response.status_code, body, response.headers)

    def route_to(self, url: str) -> dict[str, Any]:
        """Return proxies and trusted certificates for an address.

        The client's own settings come first, then those of the environment.
        """
        try:
            parts = urlsplit(url)
            # The environment is read once for each host: left to itself, requests reads it at each
            # call.
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

    def download(
        self, url: str, timeout: tuple[float, float], max_bytes: int, total_timeout: float
    ) -> Iterator[bytes]:
        """Yield the bytes of a media file, block by block; nothing of the request is signed."""
        end = time.monotonic() + total_timeout
        failure: Exception | None = None
        response: requests.Response | None = None
        try:
            response = self._open(url, timeout, end)
            yield from _limited_blocks(response, max_bytes)
        except IpernityError:
            raise
        except Exception as error:  # noqa: BLE001 - broken answers make these libraries raise anything
            failure = error
        finally:
            if response is not None:
                response.close()
        if failure:
            raise transport_error("download", host_of(url), failure)

    def _open(self, url: str, timeout: tuple[float, float], end: float) -> requests.Response:
        """Return the response with the file, after a few redirects at most.

        Each address is checked.
        """
        before = ""
        for _ in range(_MOST_REDIRECTS + 1):
            # A backslash ends the host for some parsers, and not for others.
            if not is_http_url(url) or "\\" in url:
                raise PermanentError(
                    f"download: {host_of(url)} is not a valid address of a file.", method="download"
                )
            headers = {**self._headers, "Accept-Encoding": "identity"}
            request = requests.Request("GET", url, headers=headers).prepare()
            redirected_from, before = before, request.url or ""
            self._media_hosts.require_allowed(before, redirected_from)
            limits = answer_limits(AnswerLimits(end - time.monotonic()))
            with limits, on_connect(self._media_hosts.require_outside):
                response = self._adapter.send(
                    request, stream=True, timeout=timeout, **self.route_to(url)
                )
            if response.status_code == 200:
                return response
            response.close()
            location = response.headers.get("Location", "")
            if not (300 <= response.status_code < 400 and location):
                raise _no_file(Answer(response.status_code, b"", response.headers))
            try:
                url = urljoin(url, location)
            except ValueError:
                url = ""
        raise PermanentError(
            f"download: more than {_MOST_REDIRECTS} redirects, so the file was not fetched.",
            method="download",
        )


def _limited_blocks(response: requests.Response, max_bytes: int) -> Iterator[bytes]:
    """Yield the bytes of a file, and not one more than ``max_bytes``."""
    left = max_bytes
    announced = as_int(response.headers.get("Content-Length"))
    if announced is not None and announced > max_bytes:
        left = -1
    while left >= 0 and (
        block := response.raw.read(min(BLOCK_BYTES, left + 1), decode_content=False)
    ):
        left -= len(block)
        if left >= 0:
            yield block
    if left < 0:
        raise PermanentError(
            f"download: the file is larger than {max_bytes} bytes; the rest was not fetched.",
            method="download",
        )


def _no_file(answer: Answer) -> IpernityError:
    kind = AnswerLost if is_passing(answer.status) else PermanentError
    return kind(
        f"download: HTTP {answer.status} instead of the file.",
        method="download",
        retry_after=answer.retry_after,
    )
