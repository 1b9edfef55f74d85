"""Signed calls over HTTP: sent, tried again where that is safe, and their answers read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
import tenacity
from requests.adapters import HTTPAdapter
from urllib3.exceptions import LocationParseError

from ipernity_provider import __version__
from ipernity_provider.api import clock, logs
from ipernity_provider.api.errors import AnswerLost, PermanentError, StaleSignature, TransientError
from ipernity_provider.api.reply import Payload, decode, parse_reply
from ipernity_provider.api.signing import HttpMethod, Signature, SignedCall
from ipernity_provider.api.transport import host_of, transport_error, upload_error
from ipernity_provider.api.upload import BLOCK_BYTES, FilePath, MultipartBody, Progress, reading

# Seen to refuse POST; everything else takes it, and a POST keeps the signature out of addresses and logs.
_GET_ONLY = frozenset({"api.methods.get"})
# What the service calls its reading methods. A frob can be exchanged only once, so that call is none of them.
_READING = ("get", "check", "search", "hello", "echo")
_NOT_READING = frozenset({"auth.getToken"})
# An OAuth nonce that was used, or a timestamp older than one seen before: another program with the same token was
# faster. The service has refused the call, so any call may be signed and made again.
_SIGN_AGAIN = frozenset({133, 134})
_SIGNATURES_PER_CALL = 6
_SIGNATURES_PER_UPLOAD = 3
# 112 lasts hours, 132 until somebody sets a clock: seconds of waiting cannot help.
_NOT_WORTH_WAITING = _SIGN_AGAIN | {112, 132}

Param = str | int | float | bool | Sequence[str] | None


@dataclass(frozen=True)
class Timeouts:
    """How long to wait, in seconds: see :class:`~ipernity_provider.api.client.IpernityClient`."""

    connect: float
    answer: float
    upload: float
    stall: float


class SignedCalls:
    """Makes the calls of one client; parameters as for :class:`~ipernity_provider.api.client.IpernityClient`."""

    def __init__(
        self,
        signature: Signature,
        *,
        base_url: str,
        lg: str | None,
        timeouts: Timeouts,
        verify: bool | str,
        proxy: str | None,
        attempts: int,
    ) -> None:
        logs.guard()
        self._signature = signature
        self._base_url = base_url.rstrip("/").removesuffix("/api")
        self._lg = lg
        self._timeouts = timeouts
        self._verify = verify
        self._attempts = attempts
        self._session = requests.Session()
        self._session.headers["User-Agent"] = (
            f"airflow-provider-ipernity/{__version__} {requests.utils.default_user_agent()}"
        )
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        # What the environment says is asked for once. Left to itself, requests asks at each call, and lets a .netrc file
        # take the place of our Authorization header.
        self._session.trust_env = False
        self._route = self._route_to(self._base_url)

    def close(self) -> None:
        """Close the connections that are kept open between calls."""
        # urllib3 does that when a pool is collected, which the traceback of some exception can put off.
        for adapter in self._session.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                for manager in (adapter.poolmanager, *adapter.proxy_manager.values()):
                    for key in manager.pools.keys():  # noqa: SIM118 - it is no dict
                        manager.pools[key].close()
        self._session.close()

    def call(self, method: str, params: Mapping[str, Param]) -> Payload:
        """The payload of a call, the ``api`` envelope included; a reading call is tried again on transient errors."""
        fields = self._fields(params)
        if self._attempts == 1 or not _is_reading(method):
            return self._post(method, fields)
        trying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_worth_waiting),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_random_exponential(multiplier=1.0, max=8.0),
            reraise=True,
        )
        return trying(self._post, method, fields)

    def _fields(self, params: Mapping[str, Param]) -> dict[str, str]:
        given = {"lg": self._lg, **params}
        return {name: _as_field(value) for name, value in given.items() if value is not None}

    def _post(self, method: str, fields: Mapping[str, str]) -> Payload:
        http: HttpMethod = "GET" if method in _GET_ONLY else "POST"

        def once() -> Payload:
            call = self._signature.sign(http, self._url(method), method, fields)
            body = {"params": call.fields} if http == "GET" else {"data": call.fields}
            return self._send(http, method, fields, call, timeout=self._patience, **body)

        return _signing_again(_SIGNATURES_PER_CALL, once)

    @property
    def _patience(self) -> tuple[float, float]:
        return self._timeouts.connect, self._timeouts.answer

    def _route_to(self, url: str) -> dict[str, Any]:
        """Proxies and trusted certificates for an address: the client's own settings, then the environment's."""
        route = requests.Session().merge_environment_settings(url, self._proxies, None, self._verify, None)
        return {"proxies": route["proxies"], "verify": route["verify"]}

    def _url(self, method: str) -> str:
        return f"{self._base_url}/api/{method}/json"

    def _send(
        self, http: HttpMethod, method: str, fields: Mapping[str, str], call: SignedCall, **request: Any
    ) -> Payload:
        headers = {**call.headers, **request.pop("headers", {})}
        try:
            answer = self._session.request(
                http,
                self._url(method),
                headers=headers,
                allow_redirects=False,
                **self._route,
                **request,
            )
        except (requests.RequestException, LocationParseError, OSError) as error:
            # Without its cause: the text of requests' errors can hold what must not be shown.
            host, body = host_of(self._base_url), request.get("data")
            if isinstance(body, MultipartBody):
                raise upload_error(method, host, error, body) from None
            raise transport_error(method, host, error) from None
        try:
            return parse_reply(method, answer.status_code, answer.content, _subject(fields))
        except StaleSignature as refused:
            ahead = clock.ahead_of_service(decode(answer.content) or {}, answer.headers.get("Date"))
            raise clock.with_clock(refused, ahead) from None

    def upload(
        self,
        method: str,
        params: Mapping[str, Param],
        path: FilePath,
        filename: str,
        md5: str | None,
        progress: Progress | None,
    ) -> Payload:
        """The payload of a call that sends a file, streamed; it is made once, and again only if its signature was refused."""
        fields = self._fields(params)
        with reading(filename):
            size = path.stat().st_size
        # While it sends, urllib3 applies the time for connecting to each block.
        timeout = (self._timeouts.stall, self._timeouts.upload)

        def once() -> Payload:
            call = self._signature.sign("POST", self._url(method), method, fields)
            body = MultipartBody(call.fields, path, size, filename, md5, progress)
            headers = {"Content-Type": body.content_type}
            return self._send("POST", method, fields, call, data=body, headers=headers, timeout=timeout)

        return _signing_again(_SIGNATURES_PER_UPLOAD, once)

    def download(self, url: str) -> Iterator[bytes]:
        """The bytes of a media file, block by block; the address is not signed."""
        try:
            with self._session.get(url, stream=True, timeout=self._patience, **self._route_to(url)) as answer:
                if answer.status_code != requests.codes.ok:
                    error = AnswerLost if answer.status_code >= 500 else PermanentError
                    raise error(
                        f"download: HTTP {answer.status_code} instead of the file.", method="download"
                    )
                yield from answer.iter_content(BLOCK_BYTES)
        except (requests.RequestException, LocationParseError, OSError) as broken:
            raise transport_error("download", host_of(url), broken) from None


def _signing_again(signatures: int, call: Callable[[], Payload]) -> Payload:
    """Make a call, and again with a new signature where the service has refused that of another's making."""
    signing = tenacity.Retrying(
        retry=tenacity.retry_if_exception(
            lambda error: isinstance(error, StaleSignature) and error.code in _SIGN_AGAIN
        ),
        stop=tenacity.stop_after_attempt(signatures),
        # Timestamps are whole seconds: the next second is a new chance.
        wait=tenacity.wait_random(0.1, 1.1),
        reraise=True,
    )
    return signing(call)


def _is_reading(method: str) -> bool:
    return method.rpartition(".")[2].startswith(_READING) and method not in _NOT_READING


def _worth_waiting(error: BaseException) -> bool:
    return isinstance(error, TransientError) and error.code not in _NOT_WORTH_WAITING


def _as_field(value: str | float | bool | Sequence[str]) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else ",".join(value) if isinstance(value, Sequence) else str(value)


def _subject(fields: Mapping[str, str]) -> str:
    return f"document {fields['doc_id']}" if "doc_id" in fields else ""
