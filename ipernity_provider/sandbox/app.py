"""The addresses of the sandbox."""

from __future__ import annotations

from email.utils import formatdate

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from ipernity_provider.sandbox import api, consent, control, oauth_pages, pages
from ipernity_provider.sandbox.state import SANDBOX, Sandbox
from ipernity_provider.sandbox.web_security import add_headers, guard

URLENCODED_BYTES = 16 * 1024**2
"""The longest body without a file. Files are streamed; ``max_file_bytes`` is their limit."""


def make_app(sandbox: Sandbox, allowed_hosts: frozenset[str] = frozenset()) -> web.Application:
    """Return the web application.

    :param allowed_hosts: host names that it answers to besides those of loopback.
    """
    app = web.Application(client_max_size=URLENCODED_BYTES, middlewares=[guard(allowed_hosts)])
    app[SANDBOX] = sandbox
    app.on_response_prepare.append(_date)
    app.on_response_prepare.append(add_headers)

    def add(verbs: tuple[str, ...], path: str, page: Handler) -> None:
        for verb in verbs:
            app.router.add_route(verb, path, page)

    get, post, both = (hdrs.METH_GET,), (hdrs.METH_POST,), (hdrs.METH_GET, hdrs.METH_POST)
    for path in ("/api", "/api/{method}", "/api/{method}/{format}"):
        add(both, path, api.answer)
    add(get, "/apps/authorize", consent.ask)
    add(post, "/apps/authorize", consent.decide)
    add(both, "/apps/oauth/request", oauth_pages.request_token)
    add(get, "/apps/oauth/authorize", oauth_pages.ask)
    add(post, "/apps/oauth/authorize", oauth_pages.decide)
    add(both, "/apps/oauth/access", oauth_pages.access_token)
    add(get, "/", pages.gallery)
    add(get, "/doc/{user}/{doc_id}", pages.document)
    add(get, "/cdn/200/{high}/{low}/{name}", pages.media)
    add(get, "/cdn/icon/{user_id}.png", pages.icon)
    add(get, "/_sandbox/style.css", pages.style)
    add(get, "/_sandbox/settings", control.get_settings)
    add((hdrs.METH_PUT,), "/_sandbox/settings", control.put_settings)
    add(post, "/_sandbox/reset", control.post_reset)
    add(get, "/_sandbox/ledger", control.get_ledger)
    add(get, "/_sandbox/calls", control.get_calls)
    add(get, "/_sandbox/requests", control.get_requests)
    add(get, "/_sandbox/tickets", control.get_tickets)
    add(post, "/_sandbox/tickets", control.post_tickets)
    add(post, "/_sandbox/tickets/finish", control.post_finish)
    add(post, "/_sandbox/tokens/revoke", control.post_revoke)
    add(get, "/{unknown:.*}", pages.not_found)
    return app


async def _date(request: web.Request, response: web.StreamResponse) -> None:
    """Set the header Date by the sandbox's own clock."""
    response.headers[hdrs.DATE] = formatdate(request.app[SANDBOX].now(), usegmt=True)
