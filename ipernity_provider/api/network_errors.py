"""Failures of the connection as typed errors, each one sentence.

The text of requests' own exceptions holds addresses, which can hold signatures or a proxy's
password; it is never repeated. What matters for an upload is kept: whether anything can have
reached the service.
"""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from ipernity_provider.api.errors import (
    FILE_MAY_HAVE_ARRIVED,
    AnswerLost,
    BrokenOff,
    IpernityError,
    PermanentError,
    Unreachable,
)
from ipernity_provider.api.http_limits import AnswerTooLong
from ipernity_provider.api.multipart import MultipartBody

_SETTINGS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
    LocationParseError,
)
from ipernity_provider.text import clean_text


def upload_error(method: str, host: str, error: Exception, body: MultipartBody) -> IpernityError:
    """Return the typed error for an upload.

    What was handed over decides, not the name of the exception.

    Behind a proxy, for instance, a lost answer comes as a proxy that could not be reached.
    """
    if body.ended:
        if is_timeout(error):
            what = f"{host} took the file but did not answer in time"
        elif _is_too_long(error):
            what = f"{host} took the file, but its answer has no end"
        else:
            what = f"the connection to {host} broke"
        return AnswerLost(f"{method}: {what}. {FILE_MAY_HAVE_ARRIVED}", method=method)
    if body.begun:
        stalled = is_timeout(error)
        what = (
            f"{host} or the network stopped taking the file"
            if stalled
            else f"the connection to {host} broke before the file was through"
        )
        return BrokenOff(f"{method}: {what}; nothing was replaced.", method=method)
    return transport_error(method, host, error)


def transport_error(method: str, host: str, error: Exception) -> IpernityError:
    """Return the typed error for what requests (or the operating system) raised.

    :param host: name and port of the service, for the sentence.
    """
    causes = _causes(error)
    # Before the rest, because it comes as an address that cannot be used; the proxy may be the
    # environment's.
    if isinstance(error, requests.exceptions.InvalidSchema) and "SOCKS" in str(error):
        return PermanentError(
            f"{method}: the proxy is a SOCKS proxy, which needs the package PySocks; nothing was"
            " sent. Install it, or check `proxy` in the connection's extra and ALL_PROXY,"
            " HTTPS_PROXY and HTTP_PROXY in the environment.",
            method=method,
        )
    if isinstance(error, _SETTINGS):
        return PermanentError(
            f"{method}: {host} is not a valid address. Check the connection's host and proxy.",
            method=method,
        )
    if words := _distrust(causes):
        return PermanentError(
            f"{method}: no secure connection to {host}: {words}. If its certificate comes from an"
            " authority of your own, give the CA file as `verify` in the connection's extra.",
            method=method,
        )
    if _has_no_authorities(error, causes):
        return PermanentError(
            f"{method}: the CA file cannot be used. Check `verify` in the connection's extra, and"
            " REQUESTS_CA_BUNDLE in the environment.",
            method=method,
        )
    if _is_too_long(error):
        return AnswerLost(
            f"{method}: the answer of {host} is longer than any that is expected.", method=method
        )
    connected = not isinstance(error, requests.exceptions.ProxyError) and not any(
        isinstance(cause, ConnectTimeoutError) for cause in causes
    )
    if connected and is_timeout(error):
        return AnswerLost(
            f"{method}: {host} took the call but did not answer in time.", method=method
        )
    return _unreachable(method, host, error, causes) or AnswerLost(
        f"{method}: the connection to {host} broke before the answer was complete.", method=method
    )


def _unreachable(
    method: str, host: str, error: Exception, causes: list[BaseException]
) -> Unreachable | None:
    def any_of(kind: type[Exception]) -> bool:
        return any(isinstance(cause, kind) for cause in causes)

    # Most special first: for urllib3 a refused connection is a kind of connecting that timed out.
    why = ""
    if isinstance(error, requests.exceptions.ProxyError):
        why = f"the proxy does not connect to {host}. Check `proxy`"
    elif any_of(NameResolutionError):
        why = f"the name {host} cannot be resolved. Check the host and the network"
    elif any_of(NewConnectionError):
        why = f"{host} refuses connections or cannot be reached"
    elif any_of(ConnectTimeoutError):
        why = f"{host} does not answer (connecting timed out)"
    elif isinstance(error, requests.exceptions.SSLError):
        why = f"the secure connection to {host} failed"
    return Unreachable(f"{method}: {why}.", method=method) if why else None


def host_of(url: str) -> str:
    """Return name and port of an address, without the credentials that it may carry."""
    try:
        return clean_text(urlsplit(url).netloc.rpartition("@")[2], 300) or "the address"
    except ValueError:
        return "the address"


def is_timeout(error: Exception) -> bool:
    """Return whether something took too long."""
    return any(isinstance(cause, TimeoutError | ReadTimeoutError) for cause in _causes(error))


def _is_too_long(error: Exception) -> bool:
    return any(isinstance(cause, AnswerTooLong) for cause in _causes(error))


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


def _has_no_authorities(error: Exception, causes: list[BaseException]) -> bool:
    """Return whether the file of trusted certificates is missing, cannot be read, or holds none."""
    if any(getattr(cause, "reason", "") == "NO_CERTIFICATE_OR_CRL_FOUND" for cause in causes):
        return True
    # requests looks for the file before it connects, and raises a plain OSError.
    missing = type(error) is OSError and "TLS CA certificate" in str(error)
    refused = any(isinstance(cause, NewConnectionError) for cause in causes)
    return missing or (
        not refused
        and any(isinstance(cause, PermissionError | FileNotFoundError) for cause in causes)
    )


def _distrust(causes: list[BaseException]) -> str:
    """Return why the server's certificate is not trusted; empty if that is not the reason."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message) or "its certificate is not trusted"
    return ""
