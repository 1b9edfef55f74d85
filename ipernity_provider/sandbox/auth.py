"""Authenticate a caller and check its rights, before a method runs.

The order (the service's own is not known): the key or OAuth, the signature, the token, the right.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ipernity_provider.sandbox.api_sig import verify_api_sig
from ipernity_provider.sandbox.catalog import Requirements
from ipernity_provider.sandbox.credentials import ACCOUNT, API_KEY, API_SECRET, Token
from ipernity_provider.sandbox.documents import Document
from ipernity_provider.sandbox.errors import ApiError, not_emulated
from ipernity_provider.sandbox.oauth import OAuthRequest, uses_oauth, verify_oauth
from ipernity_provider.sandbox.request import ApiRequest
from ipernity_provider.sandbox.state import Sandbox


@dataclass(frozen=True)
class AuthorizedCall:
    """A call that passed all checks; ``token`` is None for an anonymous caller."""

    sandbox: Sandbox
    request: ApiRequest
    token: Token | None

    def error(self, code: int) -> ApiError:
        """Return one of the method's own errors."""
        return ApiError(code, self.request.method)

    def visible_document(self) -> Document:
        """Return the document ``doc_id``.

        :raises ApiError: 1 when it does not exist, and also when the caller may not see it.
        """
        document = self.sandbox.documents.get(self.request.param("doc_id"))
        if document is None or not self.sees(document):
            raise self.error(1)
        return document

    def own_document(self, code: int = 1) -> Document:
        """Return the document ``doc_id``, which must belong to the account.

        :raises ApiError: ``code`` when it does not.
        """
        document = self.sandbox.documents.get(self.request.param("doc_id"))
        if document is None or document.owner != ACCOUNT:
            raise self.error(code)
        return document

    def unknown(self, sentence: str) -> ApiError:
        """Return the error for a value of which it is not known what the service does with it."""
        return not_emulated(f"{self.request.method}: {sentence}")

    def sees(self, document: Document) -> bool:
        return document.is_public or (
            document.owner == ACCOUNT and self.sandbox.allows(self.token, "doc", "read")
        )

    def owns(self, document: Document) -> bool:
        return self.token is not None and document.owner == ACCOUNT

    def extras(self, documented: Collection[str]) -> list[str]:
        """Return the members that the parameter ``extra`` requests.

        :raises ApiError: 900 for one that is not documented.
        """
        for name in self.request.listed("extra"):
            if name not in documented:
                raise self.unknown(f"extra={name[:40]!a} is not documented")
        return self.request.listed("extra")

    def listed_doc_ids(self) -> list[str]:
        """Return the documents that ``doc_id`` lists, each once.

        :raises ApiError: 900 when there are none.
        """
        doc_ids = list(dict.fromkeys(self.request.listed("doc_id")))
        if not doc_ids:
            raise self.unknown("doc_id is missing")
        return doc_ids

    def required(self, name: str, code: int) -> str:
        """Return a parameter that the method requires.

        :raises ApiError: ``code`` when it is missing.
        """
        if not self.request.param(name):
            raise self.error(code)
        return self.request.param(name)


def authorize(request: ApiRequest, requires: Requirements, sandbox: Sandbox) -> AuthorizedCall:
    """Return the call together with its token.

    :raises ApiError: 100, 101, 103 to 107, 110, 120, 130 to 135.
    """
    if requires.verb == "POST" and request.verb != "POST":
        raise ApiError(120)
    if requires.verb == "GET" and request.verb != "GET":
        # Another client saw a refusal but did not record it: answer as if the method did not exist.
        raise ApiError(103)
    if uses_oauth(request):
        token = _token_by_oauth(request, sandbox)
    else:
        token = _token_by_api_sig(request, sandbox, sign=requires.sign)
    if token is None and requires.token:
        raise ApiError(106)
    if requires.token and not sandbox.allows(token, requires.area, requires.level):
        raise ApiError(110)
    return AuthorizedCall(sandbox, request, token)


def _token_by_api_sig(request: ApiRequest, sandbox: Sandbox, *, sign: bool) -> Token | None:
    if not request.param("api_key"):
        raise ApiError(100)
    if request.param("api_key") != API_KEY:
        raise ApiError(101)
    if request.param("api_sig"):
        verify_api_sig(request.params, API_SECRET, request.method)
    elif sign:
        raise ApiError(104)
    if not request.param("auth_token"):
        return None
    token = sandbox.credentials.tokens.get(request.param("auth_token"))
    if token is None or token.secret is not None:  # an OAuth token needs an OAuth signature
        raise ApiError(107)
    return token


def _token_by_oauth(request: ApiRequest, sandbox: Sandbox) -> Token | None:
    tokens = sandbox.credentials.tokens
    secrets = {name: token.secret for name, token in tokens.items() if token.secret is not None}
    params = verify_oauth(
        OAuthRequest.of(request, sandbox.settings.oauth_multipart),
        sandbox.credentials,
        sandbox.now(),
        token_secrets=secrets,
        ordered=sandbox.settings.oauth_timestamp_order,
    )
    return tokens.get(params.get("oauth_token", ""))
