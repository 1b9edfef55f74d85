"""``/apps/oauth/``: request token, consent, access token. Replies are form-encoded.

No ``oauth_verifier`` is sent, and one that is sent is ignored: the service does not support it. How it answers a wrong
request here is not known; the sandbox says HTTP 401 with ``error`` and ``message``.
"""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web
from yarl import URL

from ipernity_provider.sandbox.consent import asked_rights
from ipernity_provider.sandbox.credentials import RequestToken
from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.oauth import OAuthRequest, verify_oauth
from ipernity_provider.sandbox.pages import consent_page, message_page
from ipernity_provider.sandbox.receive import Reception, receive
from ipernity_provider.sandbox.state import SANDBOX, Sandbox

OUT_OF_BAND = "oob"


async def request_token(request: web.Request) -> web.StreamResponse:
    sandbox = request.app[SANDBOX]
    try:
        params = await _verified(sandbox, request, token_secrets={})
    except ApiError as error:
        return _refused(error)
    token = sandbox.credentials.new_request_token(params.get("oauth_callback"))
    return _form_encoded(
        oauth_token=token.token, oauth_token_secret=token.secret, oauth_callback_confirmed="true"
    )


async def access_token(request: web.Request) -> web.StreamResponse:
    """A request token can be exchanged once, and only after the owner's consent."""
    sandbox = request.app[SANDBOX]
    requested = sandbox.credentials.request_tokens
    try:
        params = await _verified(
            sandbox, request, {token.token: token.secret for token in requested.values()}
        )
        request_token = requested.get(params.get("oauth_token", ""))
        if request_token is None or request_token.rights is None:
            raise ApiError(107)
    except ApiError as error:
        return _refused(error)
    token = sandbox.credentials.exchange_request_token(request_token)
    return _form_encoded(oauth_token=token.token, oauth_token_secret=token.secret or "")


async def ask(request: web.Request) -> web.StreamResponse:
    sandbox = request.app[SANDBOX]
    if _asked_token(sandbox, request) is None:
        return _unknown_token()
    return consent_page(asked_rights(request.query), dict(request.query))


async def decide(request: web.Request) -> web.StreamResponse:
    """After a yes the browser goes back to the callback address, given here or with the request token."""
    sandbox = request.app[SANDBOX]
    token = _asked_token(sandbox, request)
    if token is None:
        return _unknown_token()
    form = await request.post()
    if form.get("answer") == "deny":
        return message_page("Denied", "The application was given no access.", kind="denied")
    token.rights = asked_rights(request.query)
    callback = request.query.get("oauth_callback") or token.callback
    if callback in (None, "", OUT_OF_BAND):
        return message_page("Allowed", "You can close this page and go back to the application.", kind="ok")
    raise web.HTTPFound(URL(str(callback)).update_query(oauth_token=token.token))


def _asked_token(sandbox: Sandbox, request: web.Request) -> RequestToken | None:
    return sandbox.credentials.request_tokens.get(request.query.get("oauth_token", ""))


def _unknown_token() -> web.Response:
    return message_page("This link is not valid", "Its request token is unknown or used.", status=400)


async def _verified(sandbox: Sandbox, request: web.Request, token_secrets: dict[str, str]) -> dict[str, str]:
    call = await receive(request, "", "", Reception(None, 0, rewrite=False, bytes_per_second=None))
    return verify_oauth(
        OAuthRequest.of(call, sandbox.settings.oauth_multipart),
        sandbox.credentials,
        sandbox.now(),
        token_secrets=token_secrets,
        ordered=sandbox.settings.oauth_timestamp_order,
    )


def _form_encoded(**values: str) -> web.Response:
    return web.Response(text=urlencode(values), content_type="application/x-www-form-urlencoded")


def _refused(error: ApiError) -> web.Response:
    text = urlencode({"error": error.code, "message": error.title})
    return web.Response(status=401, text=text, content_type="application/x-www-form-urlencoded")
