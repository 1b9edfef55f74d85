"""Signed calls over HTTP: sent, tried again where that is safe, and their answers read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import requests
import tenacity
from requests.adapters import HTTPAdapter

from ipernity_provider import __version__
from ipernity_provider.api.errors import AnswerLost, PermanentError, TransientError
from ipernity_provider.api.reply import Payload, parse_reply
from ipernity_provider.api.signing import HttpMethod, Signature, SignedCall
from ipernity_provider.api.transport import host_of, transport_error, upload_error
from ipernity_provider.api.upload import BLOCK_BYTES, FilePath, MultipartBody, Progress, reading

# Seen to refuse POST; everything else takes it, and a POST keeps the signature out of addresses and logs.
_GET_ONLY = frozenset({"api.methods.get"})
# What the service calls its reading methods. A frob can be exchanged only once, so that call is none of them.
_READING = ("get", "check", "search", "hello", "echo")
_NOT_READING = frozenset({"auth.getToken"})
# 112 lasts hours, 132 until somebody sets a clock: seconds of waiting cannot help.
_NOT_WORTH_WAITING = frozenset({112, 132})

Param = str | int | float | bool | Sequence[str] | None


class SignedCalls:
    """Makes the calls of one client; parameters as for :class:`~ipernity_provider.api.client.IpernityClient`."""

    def __init__(
        self,
        signature: Signature,
        *,
        base_url: str,
        lg: str | None,
        timeout: float,
        upload_timeout: float,
        verify: bool | str,
        proxy: str | None,
        attempts: int,
    ) -> None:
        self._signature = signature
        self._base_url = base_url.rstrip("/").removesuffix("/api")
        self._lg = lg
        self._timeout = timeout
        self._upload_timeout = upload_timeout
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
        call = self._signature.sign(http, self._url(method), method, fields)
        body = {"params": call.fields} if http == "GET" else {"data": call.fields}
        return self._send(http, method, fields, call, timeout=(self._timeout, self._timeout), **body)

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
        except (requests.RequestException, OSError) as error:
            # Without its cause: the text of requests' errors can hold what must not be shown.
            host, body = host_of(self._base_url), request.get("data")
            if isinstance(body, MultipartBody):
                raise upload_error(method, host, error, body) from None
            raise transport_error(method, host, error) from None
        return parse_reply(method, answer.status_code, answer.content, _subject(fields))

    def upload(
        self,
        method: str,
        params: Mapping[str, Param],
        path: FilePath,
        filename: str,
        md5: str | None,
        progress: Progress | None,
    ) -> Payload:
        """The payload of a call that sends a file, streamed; it is made once and never again."""
        fields = self._fields(params)
        call = self._signature.sign("POST", self._url(method), method, fields)
        with reading(filename):
            size = path.stat().st_size
        body = MultipartBody(call.fields, path, size, filename, md5, progress)
        # While it sends, urllib3 applies the time for connecting to each block: a slow uplink needs more of it.
        timeout = (max(self._timeout, 60.0), self._upload_timeout)
        headers = {"Content-Type": body.content_type}
        return self._send("POST", method, fields, call, data=body, headers=headers, timeout=timeout)

    def download(self, url: str) -> Iterator[bytes]:
        """The bytes of a media file, block by block; the address is not signed."""
        timeout = (self._timeout, self._timeout)
        try:
            with self._session.get(url, stream=True, timeout=timeout, **self._route_to(url)) as answer:
                if answer.status_code != requests.codes.ok:
                    error = AnswerLost if answer.status_code >= 500 else PermanentError
                    raise error(
                        f"download: HTTP {answer.status_code} instead of the file.", method="download"
                    )
                yield from answer.iter_content(BLOCK_BYTES)
        except (requests.RequestException, OSError) as broken:
            raise transport_error("download", host_of(url), broken) from None


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
