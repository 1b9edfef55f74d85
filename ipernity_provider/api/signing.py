"""The service's two signatures, its own MD5 ``api_sig`` and OAuth 1.0a, and its clock.

Both sign the plain form fields of a call and never the file. requests' own hook for authentication
sees a call only when its body is laid out, too late for a signature that is itself a form field, so
a signature here takes the fields first and says what to send: form fields and headers.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from requests import Request
from requests_oauthlib import OAuth1

from ipernity_provider.api.errors import FILE_MAY_HAVE_ARRIVED, StaleSignature
from ipernity_provider.api.parsing import as_int, as_map, http_date

HttpMethod = Literal["GET", "POST"]
OAuthMultipart = Literal["form_fields", "rfc5849"]

#: Their bodies are multipart/form-data.
_UPLOADS = frozenset({"upload.file", "upload.replace"})

#: Below this a difference says nothing: replies carry whole seconds, and travel.
NEGLIGIBLE_SECONDS = 5.0

_USED_NONCE = 133
_LATEST = 2**33  # in the year 2242: what is later is not a time


@dataclass(frozen=True)
class SignedCall:
    """What to send: all plain fields, and the headers that go with them."""

    fields: dict[str, str]
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class Signature(Protocol):
    """Signs the plain fields of one call."""

    def sign(
        self, http: HttpMethod, url: str, method: str, params: Mapping[str, str]
    ) -> SignedCall:
        """Return the call's fields and headers, with the signature.

        :param params: the call's parameters, without the file and without any part of the
            signature.
        """


def api_sig(params: Mapping[str, str], method: str, secret: str) -> str:
    """Return the service's MD5 signature (help page "encoding").

    The signed text is: sorted names and values, the method, the secret.

    :param params: every plain parameter of the call, ``api_key`` and ``auth_token`` included;
        ``file`` and ``api_sig`` are left out.
    :param method: the method's name; empty for an authorization link.
    """
    signed = "".join(
        name + params[name] for name in sorted(params) if name not in {"file", "api_sig"}
    )
    return hashlib.md5(f"{signed}{method}{secret}".encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class ApiSignature:
    """Key, secret and optional token; the signature travels as the form field ``api_sig``."""

    api_key: str
    api_secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    def sign(
        self,
        http: HttpMethod,  # noqa: ARG002
        url: str,  # noqa: ARG002
        method: str,
        params: Mapping[str, str],
    ) -> SignedCall:
        fields = {**params, "api_key": self.api_key}
        if self.token:
            fields["auth_token"] = self.token
        return SignedCall({**fields, "api_sig": api_sig(fields, method, self.api_secret)})


@dataclass(frozen=True)
class OAuthSignature:
    """OAuth 1.0a, HMAC-SHA1, in the ``Authorization`` header.

    A multipart call is signed as if its fields were urlencoded: that is how clients known to work
    did it, while RFC 5849 would leave the fields of a multipart body unsigned.

    :param multipart: ``rfc5849`` leaves them unsigned.
    """

    api_key: str
    api_secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    token_secret: str | None = field(default=None, repr=False)
    multipart: OAuthMultipart = "form_fields"

    def sign(
        self,
        http: HttpMethod,
        url: str,
        method: str,
        params: Mapping[str, str],
    ) -> SignedCall:
        signed = {} if self.multipart == "rfc5849" and method in _UPLOADS else params
        form = (
            Request(http, url, params=signed) if http == "GET" else Request(http, url, data=signed)
        )
        form.auth = OAuth1(self.api_key, self.api_secret, self.token, self.token_secret)
        # The library gives the header as bytes or as str, depending on its version.
        header: str | bytes = form.prepare().headers["Authorization"]
        text = header.decode() if isinstance(header, bytes) else header
        return SignedCall(dict(params), {"Authorization": text})


# -- signatures that are refused because of a clock ------------------------------------------------


def ahead_of_service(reply: Mapping[str, Any], date: str | None = None) -> float | None:
    """Return by how many seconds this clock is ahead of the service's (negative: behind).

    The time is taken from a reply that was received just now.

    :param date: the reply's HTTP header ``Date``, for replies without a time of their own.
    """
    at: float | None = as_int(as_map(reply.get("api")).get("at"))
    if at is None or not 0 < at < _LATEST:
        at = http_date(date)
    return time.time() - at if at is not None and 0 < at < _LATEST else None


def describe_offset(ahead: float | None) -> str:
    """Return half a sentence about the difference."""
    if ahead is None:
        return "the service does not say what time it has"
    if abs(ahead) <= NEGLIGIBLE_SECONDS:
        return "this machine's clock agrees with the service's"
    direction = "ahead of" if ahead > 0 else "behind"
    return f"this machine's clock is {_duration(abs(ahead))} {direction} the service's"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"


def explain_stale_signature(error: StaleSignature, ahead: float | None) -> StaleSignature:
    """Return the same refusal, with a sentence that says by how much the clock is off."""
    agrees = ahead is not None and abs(ahead) <= NEGLIGIBLE_SECONDS
    if error.code == _USED_NONCE:
        why = (
            f"The service refuses the OAuth nonce of {error.method} as one that was used before"
            " (code 133): try again"
        )
    elif agrees and error.code == 134:
        why = (
            f"The service refuses the OAuth timestamp of {error.method} (code 134), though this"
            " machine's clock agrees with the service's: a later call with the same token was"
            " there first. A long upload can be overtaken so by other calls; then use the"
            " service's own signature (auth: signature), or a token for each worker. Else the"
            " clock of another program with this token runs ahead"
        )
    else:
        why = (
            f"The service refuses the OAuth timestamp of {error.method} (code {error.code}):"
            f" {describe_offset(ahead)}; set the clock"
        )
    arrived = f" {FILE_MAY_HAVE_ARRIVED}" if error.maybe_accepted else ""
    return StaleSignature(
        f"{why}.{arrived}",
        method=error.method,
        code=error.code,
        title=error.title,
        maybe_accepted=error.maybe_accepted,
        retry_after=error.retry_after,
    )
