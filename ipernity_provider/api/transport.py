"""Failures of the connection as typed errors, each one sentence.

The text of requests' own exceptions holds addresses, which can hold signatures or a proxy's password; it is never
repeated. What matters for an upload is kept: whether anything can have reached the service.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ipernity_provider.api.errors import AnswerLost, IpernityError, PermanentError, Unreachable

_SETTINGS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
)


def transport_error(method: str, host: str, error: Exception) -> IpernityError:
    """The typed error for what requests (or the operating system) raised.

    :param host: name and port of the service, for the sentence.
    """
    causes = _causes(error)
    if isinstance(error, _SETTINGS):
        return PermanentError(
            f"{method}: {host} is no usable address. Check the connection's host and proxy.", method=method
        )
    if isinstance(error, requests.exceptions.SSLError):
        return PermanentError(
            f"{method}: no secure connection to {host}: {_last_words(error)}. If its certificate comes from an authority "
            "of your own, give the CA file as `verify` in the connection's extra.",
            method=method,
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return Unreachable(f"{method}: the proxy does not connect to {host}. Check `proxy`.", method=method)
    # Most special first: for urllib3 a refused connection is a kind of connecting that timed out.
    if any(isinstance(cause, NameResolutionError) for cause in causes):
        return Unreachable(
            f"{method}: the name {host} cannot be resolved. Check the host and the network.", method=method
        )
    if any(isinstance(cause, NewConnectionError) for cause in causes):
        return Unreachable(f"{method}: {host} refuses connections or cannot be reached.", method=method)
    if isinstance(error, requests.exceptions.ConnectTimeout) or any(
        isinstance(c, ConnectTimeoutError) for c in causes
    ):
        return Unreachable(f"{method}: {host} does not answer (connecting timed out).", method=method)
    if isinstance(error, requests.exceptions.ReadTimeout):
        return AnswerLost(f"{method}: {host} took the call but did not answer in time.", method=method)
    return AnswerLost(
        f"{method}: the connection to {host} broke before the answer was complete.", method=method
    )


def host_of(url: str) -> str:
    """Name and port of an address, without what it may carry of credentials."""
    return urlsplit(url).netloc.rpartition("@")[2] or url


def _causes(error: BaseException) -> list[BaseException]:
    """The error and everything it wraps: urllib3 hides the real reason in ``reason`` or in the arguments."""
    found: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        cause = queue.pop()
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            queue += [getattr(cause, "reason", None), cause.__cause__, cause.__context__, *cause.args]
    return found


def _last_words(error: Exception) -> str:
    reasons = [str(getattr(cause, "verify_message", "")) for cause in _causes(error)]
    return next((reason for reason in reasons if reason), "the TLS handshake failed")
