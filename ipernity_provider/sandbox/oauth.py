"""OAuth 1.0a as the service speaks it, verified with oauthlib.

Its own rules come on top of RFC 5849: the plain fields of a multipart body are part of the base
string (seen by other clients; the setting ``oauth_multipart`` switches to the standard), there is
no ``oauth_verifier``, a nonce is accepted once, and a timestamp may not be lower than the previous
one. The documentation also names a signature method ``MD5``. How it is built is not known, so it is
refused like any other unknown method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint
from oauthlib.oauth1.rfc5849.signature import (
    base_string_uri,
    collect_parameters,
    normalize_parameters,
    signature_base_string,
)
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

from ipernity_provider.sandbox.credentials import API_KEY, API_SECRET, Credentials
from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.request import ApiRequest
from ipernity_provider.sandbox.request_log import masked

CLOCK_SKEW_SECONDS = 300
"""How far a timestamp may differ; the service's own figure is not known."""

_FORM = "application/x-www-form-urlencoded"
_REQUIRED = (
    "oauth_consumer_key",
    "oauth_signature_method",
    "oauth_signature",
    "oauth_timestamp",
    "oauth_nonce",
)


@dataclass(frozen=True)
class OAuthRequest:
    """The parts of a request that OAuth signs; ``form`` are the fields of the body among them."""

    verb: str
    url: str
    form: tuple[tuple[str, str], ...]
    authorization: str

    @classmethod
    def of(cls, request: ApiRequest, oauth_multipart: str) -> OAuthRequest:
        is_unsigned = request.multipart and oauth_multipart == "rfc5849"
        form = () if is_unsigned else request.form
        return cls(request.verb, request.url, form, request.authorization)

    def oauth_params(self) -> dict[str, str]:
        """Return the ``oauth_*`` parameters of the query, the form and the header.

        :raises ApiError: 131 when the header cannot be read.
        """
        given = [*parse_qsl(urlsplit(self.url).query, keep_blank_values=True), *self.form]
        if is_oauth_header(self.authorization):
            try:
                in_header = parse_authorization_header(self.authorization)
            except ValueError as error:
                raise ApiError(131) from error
            given += [(name, unquote(value)) for name, value in in_header]
        return {name: value for name, value in given if name.startswith("oauth_")}


def uses_oauth(request: ApiRequest) -> bool:
    has_params = any(name.startswith("oauth_") for name in request.params)
    return has_params or is_oauth_header(request.authorization)


def is_oauth_header(authorization: str) -> bool:
    return authorization.lower().startswith("oauth")


def verify_oauth(
    request: OAuthRequest,
    credentials: Credentials,
    now: float,
    *,
    token_secrets: Mapping[str, str],
    ordered: bool,
) -> dict[str, str]:
    """Verify one request.

    The order: parameters, version, method, key, token, clock, signature, nonce, order.

    :param token_secrets: the tokens that may sign this request, with their secrets.
    :param ordered: refuse a timestamp lower than the previous one of the same key and token.
    :returns: its ``oauth_*`` parameters.
    :raises ApiError: 101, 105, 107 or 130 to 135.
    """
    params = request.oauth_params()
    if not all(params.get(name) for name in _REQUIRED):
        raise ApiError(131)
    if params.get("oauth_version", "1.0") != "1.0":
        raise ApiError(130)
    secure = request.url.startswith("https:")
    known = ("HMAC-SHA1", "PLAINTEXT") if secure else ("HMAC-SHA1",)
    if params["oauth_signature_method"] not in known:
        raise ApiError(135)
    if params["oauth_consumer_key"] != API_KEY:
        raise ApiError(101)
    token = params.get("oauth_token", "")
    if token and token not in token_secrets:
        raise ApiError(107)
    timestamp = _timestamp(params, now)
    if not signature_is_valid(request, token_secrets):
        raise ApiError(105, signed=base_string(request))
    _take_nonce(credentials, params["oauth_nonce"], timestamp, now)
    latest = credentials.latest_timestamps
    if ordered and timestamp < latest.get(token, 0):
        raise ApiError(134)
    latest[token] = timestamp
    return params


def signature_is_valid(request: OAuthRequest, token_secrets: Mapping[str, str]) -> bool:
    """Return whether the signature itself is right, whatever the clock and the nonce are."""
    headers = {"Content-Type": _FORM}
    if request.authorization:
        headers["Authorization"] = request.authorization
    endpoint = SignatureOnlyEndpoint(_Secrets(token_secrets))
    try:
        body = urlencode(request.form)
        valid, _ = endpoint.validate_request(request.url, request.verb, body, headers)
    except ValueError:  # the query holds characters that should have been encoded
        return False
    return bool(valid)


def base_string(request: OAuthRequest) -> str:
    """Return the string that should have been signed, without secrets; empty for a bad address."""
    verb: Any = request.verb
    try:
        params: Any = collect_parameters(
            uri_query=urlsplit(request.url).query,
            body=list(request.form),
            headers={"Authorization": request.authorization},
        )
        address = base_string_uri(request.url)
        text = signature_base_string(verb, address, normalize_parameters(params))
    except ValueError:  # the query holds characters that should have been encoded
        return ""
    for name, value in params:
        if masked(name, value) != value and value:
            text = text.replace(quote(quote(value, safe="~"), safe="~"), masked(name, value))
    return text


def _timestamp(params: Mapping[str, str], now: float) -> int:
    text = params["oauth_timestamp"]
    if not (text.isascii() and text.isdigit() and len(text) == 10):
        raise ApiError(134)
    if abs(int(text) - now) > CLOCK_SKEW_SECONDS:
        raise ApiError(132)
    return int(text)


def _take_nonce(credentials: Credentials, nonce: str, timestamp: int, now: float) -> None:
    """Remember a nonce for as long as its timestamp would be accepted."""
    if nonce in credentials.nonces:
        raise ApiError(133)
    if len(credentials.nonces) >= 50_000:
        oldest = now - 2 * CLOCK_SKEW_SECONDS
        recent = {known: at for known, at in credentials.nonces.items() if at >= oldest}
        credentials.nonces = recent
    credentials.nonces[nonce] = timestamp


class _Secrets(RequestValidator):
    """Provide oauthlib with the secrets; clock, nonce and key have codes of the service."""

    enforce_ssl = False
    timestamp_lifetime = 10**10
    dummy_client = ""

    def __init__(self, token_secrets: Mapping[str, str]) -> None:
        super().__init__()
        self._token_secrets = token_secrets

    def check_client_key(self, *_: Any, **__: Any) -> bool:
        return True

    def check_nonce(self, *_: Any, **__: Any) -> bool:
        return True

    def validate_client_key(self, *_: Any, **__: Any) -> bool:
        return True

    def validate_timestamp_and_nonce(self, *_: Any, **__: Any) -> bool:
        return True

    def get_client_secret(self, *_: Any, **__: Any) -> str:
        return API_SECRET

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:  # noqa: ARG002
        return self._token_secrets.get(token, "")
