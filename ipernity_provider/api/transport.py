"""Signed calls: sent once or tried again where that is safe, and their answers read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tenacity

from ipernity_provider.api.clock import ahead_of_service, explain_stale_signature
from ipernity_provider.api.errors import IpernityError, StaleSignature, TransientError
from ipernity_provider.api.http_client import HttpClient
from ipernity_provider.api.media_hosts import MediaHosts
from ipernity_provider.api.multipart import (
    BeforeLastBlock,
    FilePath,
    MultipartBody,
    Progress,
    reading,
)
from ipernity_provider.api.network_errors import host_of, transport_error, upload_error
from ipernity_provider.api.parsing import Answer, Payload, decode
from ipernity_provider.api.redaction import install_log_redaction
from ipernity_provider.api.replies import parse_reply
from ipernity_provider.api.signing import HttpMethod, Signature

# Seen to refuse POST; everything else takes it, and a POST keeps the signature out of addresses and
# logs.
_GET_ONLY = frozenset({"api.methods.get"})
# How the service names its reading methods. A frob can be exchanged only once, so that call is not
# one of them.
_READING = ("get", "check", "search", "hello", "echo")
_NOT_READING = frozenset({"auth.getToken"})
# An OAuth nonce that was used, or a timestamp older than one seen before: another program with the
# same token was faster.
_SIGN_AGAIN = frozenset({133, 134})
_SIGNATURES_PER_CALL = 6
_SIGNATURES_PER_UPLOAD = 3
# 112 lasts hours, 132 until a person sets a clock: seconds of waiting cannot help.
_NOT_WORTH_WAITING = _SIGN_AGAIN | {112, 132}
# A longer pause that the service asks for is left to the caller, who can wait without holding a
# worker.
_LONGEST_PAUSE = 10.0

Param = str | int | float | bool | Sequence[str] | None


@dataclass(frozen=True)
class Timeouts:
    """How long to wait, in seconds: see :class:`~ipernity_provider.api.client.IpernityClient`."""

    connect: float
    answer: float
    upload: float
    stall: float


class Transport:
    """Makes the calls of one client.

    The parameters are those of :class:`~ipernity_provider.api.client.IpernityClient`.
    """

    def __init__(
        self,
        signature: Signature,
        *,
        base_url: str,
        lg: str | None,
        timeouts: Timeouts,
        verify: bool | str,
        proxy: str | None,
        media_hosts: Sequence[str],
        attempts: int,
    ) -> None:
        install_log_redaction()
        self._signature = signature
        self._base_url = base_url.rstrip("/").removesuffix("/api")
        self._lg = lg
        self._timeouts = timeouts
        self._attempts = attempts
        self._http = HttpClient(verify, proxy, MediaHosts(self._base_url, media_hosts))
        self._http.route_to(self._base_url)  # what is wrong with the address is said now

    def close(self) -> None:
        """Close the connections that are kept open between calls."""
        self._http.close()

    def call(self, method: str, params: Mapping[str, Param]) -> Payload:
        """Return the payload of a call, including the ``api`` envelope.

        A reading call is tried again after transient errors.
        """
        fields = self._fields(params)
        http: HttpMethod = "GET" if method in _GET_ONLY else "POST"

        def once() -> Payload:
            return self._send(http, method, fields)

        def signed() -> Payload:
            return _retry_with_new_signature(_SIGNATURES_PER_CALL, once)

        if self._attempts == 1 or not _is_reading(method):
            return signed()
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_worth_waiting),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=_pause,
            reraise=True,
        )(signed)

    def exchange(self, method: str, params: Mapping[str, Param]) -> Answer:
        """Make one call once, and return its answer whatever it is."""
        http: HttpMethod = "GET" if method in _GET_ONLY else "POST"
        url = f"{self._base_url}/api/{method}/json"
        call = self._signature.sign(http, url, method, self._fields(params))
        headers = {**call.headers, "Accept-Encoding": "gzip"}
        content = {"params" if http == "GET" else "data": call.fields}
        timeout = (self._timeouts.connect, self._timeouts.answer)
        failure: Exception | None = None
        try:
            return self._http.exchange(http, url, headers, timeout, **content)
        except Exception as error:  # noqa: BLE001 - what a broken answer makes these libraries raise has no end
            failure = error
        raise transport_error(method, host_of(self._base_url), failure)

    def upload(
        self,
        method: str,
        params: Mapping[str, Param],
        path: FilePath,
        filename: str,
        *,
        expected_md5: str | None,
        progress: Progress | None,
        before_last_block: BeforeLastBlock | None,
    ) -> Payload:
        """Return the payload of a call that sends a file, streamed.

        It is made once; again only if its signature was refused before its last block had left.
        """
        fields = self._fields(params)
        with reading(filename):
            size = int(path.stat().st_size)

        def once() -> Payload:
            def body_of(signed_fields: Mapping[str, str]) -> MultipartBody:
                return MultipartBody(
                    signed_fields, path, size, filename, expected_md5, progress, before_last_block
                )

            return self._send("POST", method, fields, body_of)

        return _retry_with_new_signature(_SIGNATURES_PER_UPLOAD, once)

    def _fields(self, params: Mapping[str, Param]) -> dict[str, str]:
        given = {"lg": self._lg, **params}
        return {name: _as_field(value) for name, value in given.items() if value is not None}

    def _send(
        self,
        http: HttpMethod,
        method: str,
        fields: Mapping[str, str],
        body_of: Callable[[Mapping[str, str]], MultipartBody] | None = None,
    ) -> Payload:
        """Sign and make one call, and return its payload.

        ``body_of`` makes the body of an upload from its signed fields.
        """
        url = f"{self._base_url}/api/{method}/json"
        call = self._signature.sign(http, url, method, fields)
        headers = {**call.headers, "Accept-Encoding": "gzip"}
        timeout = (self._timeouts.connect, self._timeouts.answer)
        upload = body_of(call.fields) if body_of else None
        content: dict[str, Any]
        if upload:
            content, headers["Content-Type"] = {"data": upload}, upload.content_type
            # While it sends, urllib3 applies the time for connecting to each block.
            timeout = (self._timeouts.stall, self._timeouts.upload)
        else:
            content = {"params" if http == "GET" else "data": call.fields}
        failure: Exception | None = None
        try:
            answer = self._http.exchange(http, url, headers, timeout, **content)
        except Exception as error:  # noqa: BLE001 - what a broken answer makes these libraries raise has no end
            failure = error
        # Raised from here, errors have no context: the text of requests' errors can hold what must
        # not be shown.
        if upload and upload.failure:
            raise upload.failure
        if failure:
            host = host_of(self._base_url)
            raise (
                upload_error(method, host, failure, upload)
                if upload
                else transport_error(method, host, failure)
            )
        return self._parse(method, answer, fields, None if upload is None else upload.ended)

    def _parse(
        self, method: str, answer: Answer, fields: Mapping[str, str], upload_ended: bool | None
    ) -> Payload:
        subject = f"document {fields['doc_id']}" if "doc_id" in fields else ""
        try:
            return parse_reply(method, answer, subject, upload_ended=upload_ended)
        except StaleSignature as refused:
            ahead = ahead_of_service(decode(answer.body) or {}, answer.headers.get("Date"))
            raise explain_stale_signature(refused, ahead) from None

    def download(self, url: str, max_bytes: int, total_timeout: float) -> Iterator[bytes]:
        """Yield the bytes of a media file, block by block; nothing of the request is signed."""
        return self._http.download(
            url, (self._timeouts.connect, self._timeouts.answer), max_bytes, total_timeout
        )


def _retry_with_new_signature(signatures: int, call: Callable[[], Payload]) -> Payload:
    """Make a call, and repeat it with a new signature if the service refused the first one.

    This happens when another program's call has overtaken it.
    """

    def is_overtaken(error: BaseException) -> bool:
        return (
            isinstance(error, StaleSignature)
            and error.code in _SIGN_AGAIN
            and not error.maybe_accepted
        )

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_overtaken),
        stop=tenacity.stop_after_attempt(signatures),
        # Timestamps are whole seconds: the next second is a new chance.
        wait=tenacity.wait_random(0.1, 1.1),
        reraise=True,
    )(call)


def _is_reading(method: str) -> bool:
    return method.rpartition(".")[2].startswith(_READING) and method not in _NOT_READING


def _is_worth_waiting(error: BaseException) -> bool:
    return (
        isinstance(error, TransientError)
        and error.code not in _NOT_WORTH_WAITING
        and (error.retry_after or 0.0) <= _LONGEST_PAUSE
    )


_growing = tenacity.wait_random_exponential(multiplier=1.0, max=8.0)


def _pause(state: tenacity.RetryCallState) -> float:
    """Return the seconds before the next try.

    They grow, and are at least as many as the service asks for.
    """
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, IpernityError) else None
    return max(_growing(state), asked or 0.0)


def _as_field(value: str | float | bool | Sequence[str]) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    text = (
        value
        if isinstance(value, str)
        else ",".join(value)
        if isinstance(value, Sequence)
        else str(value)
    )
    return text.encode("utf-8", "replace").decode()  # half surrogates cannot be sent
