"""``/_sandbox/``: inspect and control the sandbox. JSON, no authentication.

A call that changes something must say that its body is JSON: a web page of another site cannot do
that without permission, which the sandbox never gives.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from aiohttp import web

from ipernity_provider.sandbox.settings import SettingsError
from ipernity_provider.sandbox.state import SANDBOX

MAX_TICKETS = 100_000
MAX_SECONDS = 365 * 24 * 3600


async def get_settings(request: web.Request) -> web.Response:
    """Answer with all settings."""
    return web.json_response(request.app[SANDBOX].settings.as_json())


async def put_settings(request: web.Request) -> web.Response:
    """Change some settings: all that the body names, or none."""
    sandbox = request.app[SANDBOX]
    try:
        sandbox.change_settings(await _json_body(request))
    except SettingsError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return web.json_response(sandbox.settings.as_json())


async def post_reset(request: web.Request) -> web.Response:
    """Restore the first documents and settings."""
    await _json_body(request)
    request.app[SANDBOX].reset()
    return web.json_response({"reset": True})


async def get_ledger(request: web.Request) -> web.Response:
    """Answer with every accepted upload, the first one first."""
    ledger = request.app[SANDBOX].ledger
    return web.json_response([dataclasses.asdict(entry) for entry in ledger])


async def get_calls(request: web.Request) -> web.Response:
    """Answer with the number of calls of each method."""
    return web.json_response(dict(request.app[SANDBOX].calls))


async def get_requests(request: web.Request) -> web.Response:
    """Answer with the latest calls and their answers, without secrets."""
    sandbox = request.app[SANDBOX]
    return web.json_response(sandbox.requests.as_json(sandbox.credentials.secret_texts()))


async def get_tickets(request: web.Request) -> web.Response:
    """Answer with every ticket, its state, and how often it was checked."""
    members = ("ticket", "doc_id", "state", "checks", "checks_after_end")
    tickets = request.app[SANDBOX].tickets.known.values()
    return web.json_response([{name: getattr(one, name) for name in members} for one in tickets])


async def post_tickets(request: web.Request) -> web.Response:
    """Make pending tickets without uploads, done one after the other in the span ``ready_in``."""
    sandbox, body = request.app[SANDBOX], await _json_body(request)
    count = body.get("count") if isinstance(body, dict) else None
    span = body.get("ready_in") if isinstance(body, dict) else None
    if not isinstance(count, int) or isinstance(count, bool) or not 0 < count <= MAX_TICKETS:
        raise web.HTTPBadRequest(text=f'"count" must be a whole number from 1 to {MAX_TICKETS}.')
    if not (
        isinstance(span, list)
        and len(span) == 2
        and all(isinstance(end, int | float) for end in span)
        and 0 <= span[0] <= span[1] <= MAX_SECONDS
    ):
        raise web.HTTPBadRequest(
            text='"ready_in" must be two numbers of seconds within a year, the smaller one first.'
        )
    first, last = span
    step = (last - first) / max(1, count - 1)
    tickets = [sandbox.add_ticket_without_upload(first + step * n) for n in range(count)]
    return web.json_response({"tickets": tickets})


async def post_finish(request: web.Request) -> web.Response:
    """End the processing of all pending uploads now, whatever ``processing_seconds`` was."""
    await _json_body(request)
    return web.json_response({"finished": request.app[SANDBOX].finish_pending()})


async def post_revoke(request: web.Request) -> web.Response:
    """Revoke a token, as the owner can on the service's pages: it answers 107 from then on."""
    body = await _json_body(request)
    token = body.get("token") if isinstance(body, dict) else None
    tokens = request.app[SANDBOX].credentials.tokens
    if not isinstance(token, str) or tokens.pop(token, None) is None:
        raise web.HTTPNotFound(text="There is no such token.")
    return web.json_response({"revoked": True})


async def _json_body(request: web.Request) -> Any:
    """Return the body, decoded; None for an empty one.

    :raises web.HTTPUnsupportedMediaType: when the request does not say that it is JSON.
    :raises web.HTTPBadRequest: when it is not.
    """
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(
            text="The header Content-Type must be application/json. Nothing was done."
        )
    try:
        body = await request.read()
        return json.loads(body) if body else None
    except web.HTTPException:
        raise
    except Exception as error:  # aiohttp and json have many for a body that cannot be read
        refusal = web.HTTPBadRequest(text="The body is not JSON. Nothing was done.")
        if request.content.exception() is not None:
            refusal.force_close()  # the rest of the body cannot be read either
        raise refusal from error
