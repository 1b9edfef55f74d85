"""``/apps/authorize``: the owner's consent to native access (desktop and web applications).

The person who opens the page is the logged-in owner of the account.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from aiohttp import web
from yarl import URL

from ipernity_provider.sandbox.api_sig import verify_api_sig
from ipernity_provider.sandbox.credentials import API_KEY, API_SECRET, Frob
from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.pages import consent_page, message_page
from ipernity_provider.sandbox.request import UploadLimits, last_values, read_request
from ipernity_provider.sandbox.settings import LEVELS, RIGHTS
from ipernity_provider.sandbox.state import SANDBOX, Sandbox

ALLOWED = ("Allowed", "You can close this page and go back to the application.")


def requested_rights(query: Mapping[str, str]) -> dict[str, str]:
    """Return the rights that a link requests with ``perm_doc=write`` and the like."""
    levels = {right: query.get(f"perm_{right}", "none") for right in RIGHTS}
    return {right: level if level in LEVELS else "none" for right, level in levels.items()}


async def ask(request: web.Request) -> web.StreamResponse:
    """Show the question, unless a web application already has the requested rights."""
    sandbox, query = request.app[SANDBOX], last_values(request)
    refusal = _check_link(sandbox, query)
    if refusal is not None:
        return refusal
    rights = requested_rights(query)
    callback = sandbox.settings.callback_url
    if "frob" not in query and callback and _are_granted(sandbox, rights):
        return _back_to_application(sandbox, rights)
    return consent_page(rights, query, form_token(request), callback)


async def decide(request: web.Request) -> web.StreamResponse:
    """Record the owner's answer.

    Only ``answer=deny`` refuses: the hidden inputs of the form alone are a consent.
    """
    sandbox, query = request.app[SANDBOX], last_values(request)
    refusal = _check_link(sandbox, query) or await check_answer(request)
    if refusal is not None:
        return refusal
    rights = requested_rights(query)
    frob = _open_frob(sandbox, query)
    if frob is not None:
        frob.rights = rights
        return message_page(*ALLOWED, kind="ok")
    sandbox.credentials.granted_on_the_web = rights
    return _back_to_application(sandbox, rights)


def form_token(request: web.Request) -> str:
    """Return the hidden value that binds a consent form to its link; no other page can know it."""
    key = request.app[SANDBOX].credentials.form_key
    return hmac.digest(key, request.path_qs.encode("utf-8", "replace"), "sha256").hex()


async def check_answer(request: web.Request) -> web.Response | None:
    """Return the page for a form that is not from the consent page, or for a denial."""
    try:
        form = dict((await read_request(request, "", "", UploadLimits())).form)
    except ApiError:
        return message_page("This form is not valid", "It cannot be read.", status=400)
    token = form.get("form_token", "").encode("utf-8", "replace")
    if not hmac.compare_digest(token, form_token(request).encode()):
        sentence = "It was not sent by the consent page. No access was given. Open the link again."
        return message_page("This form is not valid", sentence, status=403)
    if form.get("answer") == "deny":
        return message_page("Denied", "The application was given no access.", kind="denied")
    return None


def _check_link(sandbox: Sandbox, query: Mapping[str, str]) -> web.Response | None:
    """Return a page that says what is wrong with the link, or None."""
    sentence = ""
    if query.get("api_key") != API_KEY:
        sentence = "The application's key is not known."
    else:
        try:
            verify_api_sig(query, API_SECRET)
        except ApiError:
            sentence = "Its signature is missing or wrong."
    if not sentence and "frob" in query and _open_frob(sandbox, query) is None:
        sentence = "Its frob is unknown, used or too old."
    return message_page("This link is not valid", sentence, status=400) if sentence else None


def _open_frob(sandbox: Sandbox, query: Mapping[str, str]) -> Frob | None:
    return sandbox.credentials.open_frob(query.get("frob", ""), sandbox.now())


def _are_granted(sandbox: Sandbox, rights: Mapping[str, str]) -> bool:
    granted = sandbox.credentials.granted_on_the_web
    rank = LEVELS.index
    return all(rank(granted.get(right, "none")) >= rank(level) for right, level in rights.items())


def _back_to_application(sandbox: Sandbox, rights: Mapping[str, str]) -> web.Response:
    """Redirect to the key's callback address with a frob; without an address, show the frob."""
    frob = sandbox.credentials.new_frob(sandbox.now())
    frob.rights = rights
    if sandbox.settings.callback_url is None:
        return message_page("Allowed", "The application's frob is:", kind="ok", code=frob.frob)
    raise web.HTTPFound(URL(sandbox.settings.callback_url).update_query(frob=frob.frob))
