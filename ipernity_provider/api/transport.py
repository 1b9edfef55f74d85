"""Signed calls: sent once or tried again where that is safe, and failures of the connection."""

from __future__ import annotations

import itertools
import logging
import random
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from ipernity_provider import metrics
from ipernity_provider.api.errors import (
    FILE_MAY_HAVE_ARRIVED,
    AnswerLost,
    BrokenOff,
    IpernityError,
    PermanentError,
    RateLimited,
    StaleSignature,
    TransientError,
    Unreachable,
)
from ipernity_provider.api.exchange import Answer, AnswerTooLong, HttpClient, host_of, parse_reply
from ipernity_provider.api.multipart import FilePath, MultipartBody, reading
from ipernity_provider.api.parsing import Payload
from ipernity_provider.api.signing import HttpMethod, Signature
from ipernity_provider.text import clean_text

# Seen to refuse POST; everything else takes it, and a POST keeps the signature out of addresses and
# logs.
_GET_ONLY = frozenset({"api.methods.get"})
# How the service names its reading methods. A frob can be exchanged only once, so that call is not
# one of them.
_READING = ("get", "check", "search", "hello", "echo")
_STATUS = "upload.checkTickets"
_NOT_READING = frozenset({"auth.getToken"})
# An OAuth nonce that was used, or a timestamp older than one seen before: another program with the
# same token was faster.
_SIGN_AGAIN = frozenset({133, 134})
_SIGNATURES_PER_CALL = 6
_SIGNATURES_PER_UPLOAD = 3
# 112 lasts hours, 132 until a person sets a clock: seconds of waiting cannot help.
_NOT_WORTH_WAITING = frozenset({112, 132})
# A longer pause that the service asks for is left to the caller, who can wait without holding a
# worker.
_LONGEST_PAUSE = 10.0
# At DEBUG these write whole requests with their tokens and signatures.
_LOGS_REQUESTS = ("oauthlib", "requests_oauthlib")
# These write addresses; a call by GET has its parameters there, and so have the pages for
# authorizing. The second one writes the headers that it cannot parse, too, whatever is in them.
_LOG_ADDRESSES = ("urllib3.connectionpool", "urllib3.connection")
_SECRET_PARAMETERS = re.compile(r"\b(api_key|api_sig|auth_token|frob|oauth_\w+)=[^&\s\"]*")
_SETTINGS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
    LocationParseError,
)

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
        attempts: int,
    ) -> None:
        for name in _LOGS_REQUESTS:
            logger = logging.getLogger(name)
            if logger.level == logging.NOTSET:  # whoever has set one wants to see all
                logger.setLevel(logging.INFO)
        for name in _LOG_ADDRESSES:
            logging.getLogger(name).addFilter(_redact)
        self._signature = signature
        self._base_url = base_url.rstrip("/").removesuffix("/api")
        self._lg = lg
        self._timeouts = timeouts
        self._attempts = attempts
        self.http = HttpClient(verify, proxy)
        self.http.route_to(self._base_url)  # what is wrong with the address is said now

    def call(self, method: str, params: Mapping[str, Param]) -> Payload:
        """Return the payload of a call, including the ``api`` envelope.

        A reading call is tried again after transient errors.
        """
        reads = method.rpartition(".")[2].startswith(_READING) and method not in _NOT_READING
        attempts = self._attempts if reads else 1
        return self._repeat(attempts, _SIGNATURES_PER_CALL, method, params)

    def upload(
        self,
        method: str,
        params: Mapping[str, Param],
        file: FilePath,
        filename: str,
        **options: Any,
    ) -> Payload:
        """Return the payload of a call that sends a file, streamed.

        It is made once; again only if its signature was refused before its last block had left.

        :param options: what else :class:`~ipernity_provider.api.multipart.MultipartBody` takes.
        """
        with reading(filename):
            size = int(file.stat().st_size)
        body = partial(MultipartBody, file=file, size=size, filename=filename, **options)
        return self._repeat(1, _SIGNATURES_PER_UPLOAD, method, params, body)

    def _repeat(
        self,
        attempts: int,
        signatures: int,
        method: str,
        params: Mapping[str, Param],
        body_of: partial[MultipartBody] | None = None,
    ) -> Payload:
        """Make a call until it gives a result, or an error that another try now does not mend."""
        doc_id = params.get("doc_id")
        subject = "" if doc_id is None else f"document {doc_id}"
        for tries in itertools.count(1):
            metrics.sink.incr("ipernity.status_calls" if method == _STATUS else "ipernity.calls")
            began = time.monotonic()
            try:
                return parse_reply(method, self.exchange(method, params, body_of), subject)
            except IpernityError as error:
                pause = _pause_before_next(error, tries, attempts, signatures)
                if isinstance(error, RateLimited):
                    metrics.sink.incr("ipernity.rate_limited")
                if pause is None:
                    raise
                if isinstance(error, RateLimited):
                    metrics.sink.timing("ipernity.rate_limit_wait", pause * 1000)
            finally:
                took = (time.monotonic() - began) * 1000
                metrics.sink.timing("ipernity.upload" if body_of else "ipernity.call", took)
            time.sleep(pause)
        raise AssertionError  # the count has no end

    def exchange(
        self,
        method: str,
        params: Mapping[str, Param],
        body_of: partial[MultipartBody] | None = None,
    ) -> Answer:
        """Sign and make one call, once, and return its answer whatever it is.

        :param body_of: makes the body of an upload from its signed fields.
        """
        verb: HttpMethod = "GET" if method in _GET_ONLY else "POST"
        request = requests.Request(verb, f"{self._base_url}/api/{method}/json")
        fields = _form_fields({"lg": self._lg, **params})
        call = self._signature.sign(verb, request.url, method, fields)
        request.headers = {**call.headers, "Accept-Encoding": "gzip"}
        timeout = (self._timeouts.connect, self._timeouts.answer)
        upload = body_of(call.fields) if body_of else None
        if upload:
            request.data, request.headers["Content-Type"] = upload, upload.content_type
            # While it sends, urllib3 applies the time for connecting to each block.
            timeout = (self._timeouts.stall, self._timeouts.upload)
        elif verb == "GET":
            request.params = call.fields
        else:
            request.data = call.fields
        failure: Exception | None = None
        try:
            answer = self.http.exchange(request, timeout)
        except Exception as error:  # noqa: BLE001 - what a broken answer makes these libraries raise has no end
            failure = error
        # Raised from here, errors have no context: the text of requests' errors can hold what must
        # not be shown.
        if upload and upload.failure:
            raise upload.failure
        if failure:
            raise transport_error(method, host_of(self._base_url), failure, upload)
        return replace(answer, upload_ended=upload.ended) if upload else answer


def _form_fields(params: Mapping[str, Param]) -> dict[str, str]:
    """Return parameters as text; half surrogates, which cannot be sent, are replaced."""
    fields = {}
    for name, value in params.items():
        text = str(value)
        if isinstance(value, bool):
            text = "1" if value else "0"
        elif isinstance(value, Sequence) and not isinstance(value, str):
            text = ",".join(value)
        if value is not None:
            fields[name] = text.encode("utf-8", "replace").decode()
    return fields


def _pause_before_next(
    error: IpernityError, tries: int, attempts: int, signatures: int
) -> float | None:
    """Return the seconds before a call that failed is made again; None if it is not.

    :param tries: how often it was made.
    :param attempts: how often it is made at most.
    :param signatures: the same where another program's call has overtaken it each time.
    """
    if error.code in _SIGN_AGAIN and isinstance(error, StaleSignature):
        if error.maybe_accepted or tries >= signatures:
            return None
        # Timestamps are whole seconds: the next second is a new chance.
        return random.uniform(0.1, 1.1)  # nosec B311  # noqa: S311 - not a secret
    asked = error.retry_after or 0.0
    worth_waiting = (
        isinstance(error, TransientError)
        and error.code not in _NOT_WORTH_WAITING
        and asked <= _LONGEST_PAUSE
    )
    if not worth_waiting or tries >= attempts:
        return None
    jitter = random.uniform(0.0, min(8.0, 2.0 ** (tries - 1)))  # nosec B311  # noqa: S311
    return max(asked, jitter)


def _redact(record: logging.LogRecord) -> bool:
    """Keep signatures and tokens out of the log lines of the libraries in use."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            clean_text(_SECRET_PARAMETERS.sub(r"\1=***", str(arg)))
            if isinstance(arg, str | Exception)
            else arg
            for arg in record.args
        )
    record.exc_info = None
    return True


# -- failures of the connection, each one sentence ---------------------------------------------
#
# The text of requests' own exceptions holds addresses, which can hold signatures or a proxy's
# password; it is never repeated.


def transport_error(
    method: str, host: str, error: Exception, body: MultipartBody | None = None
) -> IpernityError:
    """Return the typed error for what requests (or the operating system) raised.

    :param host: name and port of the service, for the sentence.
    :param body: of an upload. What was handed over of it decides, not the name of the exception:
        behind a proxy, for instance, a lost answer comes as a proxy that could not be reached.
    """
    causes = _causes(error)

    timed_out = _any_of(causes, TimeoutError, ReadTimeoutError)
    too_long = _any_of(causes, AnswerTooLong)
    if body and body.begun:
        return _upload_error(method, host, body, timed_out=timed_out, too_long=too_long)
    if wrong := _wrong_setting(host, error, causes):
        return PermanentError(f"{method}: {wrong}", method=method)
    # Most special first: for urllib3 a refused connection is a kind of connecting that timed out.
    kind: type[IpernityError] = Unreachable
    if too_long:
        kind, what = AnswerLost, f"the answer of {host} is longer than any that is expected"
    elif isinstance(error, requests.exceptions.ProxyError):
        what = f"the proxy does not connect to {host}. Check `proxy`"
    elif _any_of(causes, NameResolutionError):
        what = f"the name {host} cannot be resolved. Check the host and the network"
    elif _any_of(causes, NewConnectionError):
        what = f"{host} refuses connections or cannot be reached"
    elif _any_of(causes, ConnectTimeoutError):
        what = f"{host} does not answer (connecting timed out)"
    elif timed_out:
        kind, what = AnswerLost, f"{host} took the call but did not answer in time"
    elif isinstance(error, requests.exceptions.SSLError):
        what = f"the secure connection to {host} failed"
    else:
        kind, what = AnswerLost, f"the connection to {host} broke before the answer was complete"
    return kind(f"{method}: {what}.", method=method)


def _upload_error(
    method: str, host: str, body: MultipartBody, *, timed_out: bool, too_long: bool
) -> IpernityError:
    if body.ended:
        what = f"the connection to {host} broke"
        if timed_out:
            what = f"{host} took the file but did not answer in time"
        elif too_long:
            what = f"{host} took the file, but its answer has no end"
        return AnswerLost(f"{method}: {what}. {FILE_MAY_HAVE_ARRIVED}", method=method)
    what = f"the connection to {host} broke before the file was through"
    if timed_out:
        what = f"{host} or the network stopped taking the file"
    return BrokenOff(f"{method}: {what}; nothing was replaced.", method=method)


def _wrong_setting(host: str, error: Exception, causes: list[BaseException]) -> str:
    """Return what is wrong with the connection's settings; empty if that is not the reason."""
    # First, because it comes as an address that cannot be used; it may be the environment's.
    if isinstance(error, requests.exceptions.InvalidSchema) and "SOCKS" in str(error):
        return (
            "the proxy is a SOCKS proxy, which needs the package PySocks; nothing was sent. Install"
            " it, or check `proxy` in the connection's extra and ALL_PROXY, HTTPS_PROXY and"
            " HTTP_PROXY in the environment."
        )
    if isinstance(error, _SETTINGS):
        return f"{host} is not a valid address. Check the connection's host and proxy."
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"no secure connection to {host}:"
                f" {cause.verify_message or 'its certificate is not trusted'}. If its certificate"
                " comes from an authority of your own, give the CA file as `verify` in the"
                " connection's extra."
            )
    # requests looks for the file before it connects, and raises a plain OSError.
    missing = type(error) is OSError and "TLS CA certificate" in str(error)
    refused = _any_of(causes, NewConnectionError)
    if missing or any(
        getattr(cause, "reason", "") == "NO_CERTIFICATE_OR_CRL_FOUND"
        or (not refused and isinstance(cause, PermissionError | FileNotFoundError))
        for cause in causes
    ):
        return (
            "the CA file cannot be used. Check `verify` in the connection's extra, and"
            " REQUESTS_CA_BUNDLE in the environment."
        )
    return ""


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and everything that it wraps.

    urllib3 hides the real reason in ``reason`` or in the arguments.

    What was being handled when it was raised (``__context__``) is left out: that may be an earlier
    call's failure.
    """
    found: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        cause = queue.pop()
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            queue += [getattr(cause, "reason", None), cause.__cause__, *cause.args]
    return found


def _any_of(causes: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)
