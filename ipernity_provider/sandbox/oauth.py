"""OAuth 1.0a as the service speaks it, verified with oauthlib.

Its own rules come on top of RFC 5849: the plain fields of a multipart body are part of the base string (seen by other
clients; the setting ``oauth_multipart`` has it the standard's way), no ``oauth_verifier``, a nonce is never taken
twice, and a timestamp may not be lower than the one before. The documentation also names a signature method ``MD5``,
but how it is built is not known, so it is refused like any other unknown one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

from ipernity_provider.sandbox.credentials import API_KEY, API_SECRET, Credentials
from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.receive import ApiCall

CLOCK_SKEW_SECONDS = 300
"""How far a timestamp may be off; the service's own figure is not known."""

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
    """The parts of a request that OAuth looks at; ``form`` are the body's fields that belong to the base string."""

    verb: str
    url: str
    form: tuple[tuple[str, str], ...]
    authorization: str

    @classmethod
    def of(cls, call: ApiCall, oauth_multipart: str) -> OAuthRequest:
        signed_form = () if call.multipart and oauth_multipart == "rfc5849" else call.form
        return cls(call.verb, call.url, signed_form, call.authorization)

    def oauth_params(self) -> dict[str, str]:
        """The ``oauth_*`` parameters, wherever they were put."""
        given = [*parse_qsl(urlsplit(self.url).query, keep_blank_values=True), *self.form]
        if is_oauth_header(self.authorization):
            try:
                in_header = parse_authorization_header(self.authorization)
            except ValueError as error:
                raise ApiError(131) from error
            given += [(name, unquote(value)) for name, value in in_header]
        return {name: value for name, value in given if name.startswith("oauth_")}


def speaks_oauth(call: ApiCall) -> bool:
    return is_oauth_header(call.authorization) or any(name.startswith("oauth_") for name in call.params)


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
    """Check one request in the order: parameters, version, method, key, token, clock, signature, nonce, order.

    :param token_secrets: the tokens that are good for this request, with their secrets.
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
    if params["oauth_signature_method"] not in (("HMAC-SHA1", "PLAINTEXT") if secure else ("HMAC-SHA1",)):
        raise ApiError(135)
    if params["oauth_consumer_key"] != API_KEY:
        raise ApiError(101)
    token = params.get("oauth_token", "")
    if token and token not in token_secrets:
        raise ApiError(107)
    timestamp = _timestamp(params, now)
    if not signature_is_valid(request, token_secrets):
        raise ApiError(105)
    _take_nonce(credentials, params["oauth_nonce"], timestamp, now)
    order_of = f"{API_KEY} {token}"
    if ordered and timestamp < credentials.latest_timestamps.get(order_of, 0):
        raise ApiError(134)
    credentials.latest_timestamps[order_of] = timestamp
    return params


def signature_is_valid(request: OAuthRequest, token_secrets: Mapping[str, str]) -> bool:
    """Whether the signature itself fits; says nothing of clock and nonce."""
    headers = {"Content-Type": _FORM}
    if request.authorization:
        headers["Authorization"] = request.authorization
    endpoint = SignatureOnlyEndpoint(_Secrets(token_secrets))
    try:
        valid, _ = endpoint.validate_request(request.url, request.verb, urlencode(request.form), headers)
    except ValueError:  # the query holds characters that should have been encoded
        return False
    return bool(valid)


def _timestamp(params: Mapping[str, str], now: float) -> int:
    text = params["oauth_timestamp"]
    if not (text.isascii() and text.isdigit() and len(text) == 10):
        raise ApiError(134)
    if abs(int(text) - now) > CLOCK_SKEW_SECONDS:
        raise ApiError(132)
    return int(text)


def _take_nonce(credentials: Credentials, nonce: str, timestamp: int, now: float) -> None:
    """Remember a nonce for as long as its timestamp would be taken."""
    if nonce in credentials.nonces:
        raise ApiError(133)
    if len(credentials.nonces) >= 50_000:
        oldest = now - 2 * CLOCK_SKEW_SECONDS
        credentials.nonces = {known: at for known, at in credentials.nonces.items() if at >= oldest}
    credentials.nonces[nonce] = timestamp


class _Secrets(RequestValidator):
    """Gives oauthlib the secrets; clock, nonce and key were checked before, with the service's own codes."""

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
