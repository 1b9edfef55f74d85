"""The service's two signatures: its own MD5 ``api_sig`` and OAuth 1.0a.

Both sign the plain form fields of a call and never the file. requests' own hook for authentication
sees a call only when its body is laid out, too late for a signature that is itself a form field, so
a signature here takes the fields first and says what to send: form fields and headers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from requests import Request
from requests_oauthlib import OAuth1

HttpMethod = Literal["GET", "POST"]
OAuthMultipart = Literal["form_fields", "rfc5849"]

#: Their bodies are multipart/form-data.
_UPLOADS = frozenset({"upload.file", "upload.replace"})


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
        return SignedCall(dict(params), {"Authorization": self._authorization(http, url, signed)})

    def _authorization(self, http: HttpMethod, url: str, params: Mapping[str, str]) -> str:
        form = (
            Request(http, url, params=params) if http == "GET" else Request(http, url, data=params)
        )
        form.auth = self._oauth()
        # The library gives the header as bytes or as str, depending on its version.
        header: str | bytes = form.prepare().headers["Authorization"]
        return header.decode() if isinstance(header, bytes) else header

    def _oauth(self) -> OAuth1:
        return OAuth1(self.api_key, self.api_secret, self.token, self.token_secret)
