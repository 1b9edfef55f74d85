"""``/apps/authorize``: the owner's consent, the service's own way (desktop and web applications).

Whoever opens the page is the logged-in owner of the account.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from yarl import URL

from ipernity_provider.sandbox.credentials import API_KEY, API_SECRET, Frob
from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.native import verify_native
from ipernity_provider.sandbox.pages import consent_page, message_page
from ipernity_provider.sandbox.settings import LEVELS, RIGHTS
from ipernity_provider.sandbox.state import SANDBOX, Sandbox


def asked_rights(query: Mapping[str, str]) -> dict[str, str]:
    """The rights that a link asks for with ``perm_doc=write`` and the like."""
    asked = {}
    for right in RIGHTS:
        level = query.get(f"perm_{right}", "none")
        asked[right] = level if level in LEVELS else "none"
    return asked


async def ask(request: web.Request) -> web.StreamResponse:
    """The page with the question. Rights that a web application has already are not asked about again."""
    sandbox = request.app[SANDBOX]
    refusal = _refusal(sandbox, request)
    if refusal is not None:
        return refusal
    rights = asked_rights(request.query)
    if "frob" not in request.query and sandbox.settings.callback_url and _has_already(sandbox, rights):
        return _back_to_application(sandbox, rights)
    return consent_page(rights, dict(request.query))


async def decide(request: web.Request) -> web.StreamResponse:
    """The owner's answer. Anything but ``answer=deny`` is a yes, as the form's hidden inputs alone are."""
    sandbox = request.app[SANDBOX]
    refusal = _refusal(sandbox, request)
    if refusal is not None:
        return refusal
    form = await request.post()
    if form.get("answer") == "deny":
        return message_page("Denied", "The application was given no access.", kind="denied")
    rights = asked_rights(request.query)
    frob = _frob(sandbox, request)
    if frob is not None:
        frob.rights = rights
        return message_page("Allowed", "You can close this page and go back to the application.", kind="ok")
    sandbox.credentials.granted_on_the_web = rights
    return _back_to_application(sandbox, rights)


def _refusal(sandbox: Sandbox, request: web.Request) -> web.Response | None:
    """A page that says what is wrong with the link."""
    if request.query.get("api_key") != API_KEY:
        return message_page("This link is not valid", "The application's key is not known.", status=400)
    try:
        verify_native(request.query, API_SECRET)
    except ApiError:
        return message_page("This link is not valid", "Its signature is missing or wrong.", status=400)
    if "frob" in request.query and _frob(sandbox, request) is None:
        return message_page("This link is not valid", "Its frob is unknown, used or too old.", status=400)
    return None


def _has_already(sandbox: Sandbox, rights: Mapping[str, str]) -> bool:
    granted = sandbox.credentials.granted_on_the_web
    return all(
        LEVELS.index(granted.get(right, "none")) >= LEVELS.index(level) for right, level in rights.items()
    )


def _frob(sandbox: Sandbox, request: web.Request) -> Frob | None:
    return sandbox.credentials.open_frob(request.query.get("frob", ""), sandbox.now())


def _back_to_application(sandbox: Sandbox, rights: Mapping[str, str]) -> web.Response:
    """To the callback address registered with the key, with a frob; on the page where there is no address."""
    frob = sandbox.credentials.new_frob(sandbox.now())
    frob.rights = rights
    if sandbox.settings.callback_url is None:
        return message_page("Allowed", "The application's frob is:", kind="ok", code=frob.frob)
    raise web.HTTPFound(URL(sandbox.settings.callback_url).update_query(frob=frob.frob))
