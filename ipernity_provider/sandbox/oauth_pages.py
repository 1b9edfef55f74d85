"""``/apps/oauth/``: request token, consent, access token. Replies are form-encoded.

No ``oauth_verifier`` is sent, and one that is received is ignored: the service does not support it.
How it answers a wrong request here is not known; the sandbox answers with HTTP 401, ``error`` and
``message``.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from aiohttp import web
from yarl import URL

from ipernity_provider.sandbox.consent import ALLOWED, check_answer, form_token, requested_rights
from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.oauth import OAuthRequest, verify_oauth
from ipernity_provider.sandbox.pages import consent_page, message_page
from ipernity_provider.sandbox.request import UploadLimits, last_values, read_request
from ipernity_provider.sandbox.request_log import RequestRecord
from ipernity_provider.sandbox.state import SANDBOX

OUT_OF_BAND = "oob"
UNKNOWN_TOKEN = ("This link is not valid", "Its request token is unknown or used.")


async def request_token(request: web.Request) -> web.StreamResponse:
    """Issue a request token, which starts an authorization."""
    try:
        params = await _verify(request, token_secrets={})
    except ApiError as error:
        return _refusal(request, error)
    token = request.app[SANDBOX].credentials.new_request_token(params.get("oauth_callback"))
    return _form_encoded(
        {
            "oauth_token": token.token,
            "oauth_token_secret": token.secret,
            "oauth_callback_confirmed": "true",
        }
    )


async def access_token(request: web.Request) -> web.StreamResponse:
    """Exchange a request token: once, and only after the owner's consent."""
    credentials = request.app[SANDBOX].credentials
    requested = credentials.request_tokens
    try:
        params = await _verify(request, {name: token.secret for name, token in requested.items()})
        request_token = requested.get(params.get("oauth_token", ""))
        if request_token is None or request_token.rights is None:
            raise ApiError(107)
    except ApiError as error:
        return _refusal(request, error)
    token = credentials.exchange_request_token(request_token)
    return _form_encoded({"oauth_token": token.token, "oauth_token_secret": token.secret or ""})


async def ask(request: web.Request) -> web.StreamResponse:
    """Show the question whether the application may act for the owner."""
    query = last_values(request)
    tokens = request.app[SANDBOX].credentials.request_tokens
    token = tokens.get(query.get("oauth_token", ""))
    if token is None:
        return message_page(*UNKNOWN_TOKEN, status=400)
    callback = query.get("oauth_callback") or token.callback
    return consent_page(requested_rights(query), query, form_token(request), callback)


async def decide(request: web.Request) -> web.StreamResponse:
    """Record the owner's answer.

    After a consent the browser is redirected to the callback address of the link, or else to that
    of the request token.
    """
    query = last_values(request)
    tokens = request.app[SANDBOX].credentials.request_tokens
    token = tokens.get(query.get("oauth_token", ""))
    if token is None:
        return message_page(*UNKNOWN_TOKEN, status=400)
    refusal = await check_answer(request)
    if refusal is not None:
        return refusal
    token.rights = requested_rights(query)
    callback = query.get("oauth_callback") or token.callback
    if callback in (None, "", OUT_OF_BAND):
        return message_page(*ALLOWED, kind="ok")
    try:
        address = URL(str(callback)).update_query(oauth_token=token.token)
    except ValueError:
        return message_page("This link is not valid", "Its callback is not an address.", status=400)
    raise web.HTTPFound(address)


async def _verify(request: web.Request, token_secrets: Mapping[str, str]) -> dict[str, str]:
    sandbox = request.app[SANDBOX]
    record = sandbox.requests.start(sandbox.now(), request.path, request.method)
    request["record"] = record
    call = await read_request(request, "", "", UploadLimits())
    record.read(call)
    params = verify_oauth(
        OAuthRequest.of(call, sandbox.settings.oauth_multipart),
        sandbox.credentials,
        sandbox.now(),
        token_secrets=token_secrets,
        ordered=sandbox.settings.oauth_timestamp_order,
    )
    record.http, record.status = 200, "ok"
    return params


def _form_encoded(values: Mapping[str, str], status: int = 200) -> web.Response:
    return web.Response(
        status=status, text=urlencode(values), content_type="application/x-www-form-urlencoded"
    )


def _refusal(request: web.Request, error: ApiError) -> web.Response:
    record: RequestRecord = request["record"]
    record.refuse(error)
    record.http = 401
    return _form_encoded({"error": str(error.code), "message": error.title}, status=401)
