"""``/_sandbox/``: how tests look into the sandbox and steer it. JSON, no authentication."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from aiohttp import web

from ipernity_provider.sandbox.settings import SettingsError
from ipernity_provider.sandbox.state import SANDBOX

MOST_PLAIN_TICKETS = 100_000


async def get_settings(request: web.Request) -> web.Response:
    sandbox = request.app[SANDBOX]
    return web.json_response(sandbox.settings.as_json())


async def put_settings(request: web.Request) -> web.Response:
    """Change some of the settings; all of the change or nothing of it."""
    sandbox = request.app[SANDBOX]
    try:
        sandbox.change_settings(await _body(request))
    except SettingsError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return web.json_response(sandbox.settings.as_json())


async def post_reset(request: web.Request) -> web.Response:
    sandbox = request.app[SANDBOX]
    sandbox.reset()
    return web.json_response({"reset": True})


async def get_ledger(request: web.Request) -> web.Response:
    sandbox = request.app[SANDBOX]
    return web.json_response([dataclasses.asdict(entry) for entry in sandbox.ledger])


async def get_calls(request: web.Request) -> web.Response:
    sandbox = request.app[SANDBOX]
    return web.json_response(dict(sandbox.calls))


async def get_tickets(request: web.Request) -> web.Response:
    sandbox = request.app[SANDBOX]
    members = ("ticket", "doc_id", "state", "asked", "asked_after_told")
    tickets = sandbox.tickets.known.values()
    return web.json_response([{name: getattr(ticket, name) for name in members} for ticket in tickets])


async def post_tickets(request: web.Request) -> web.Response:
    """Plain pending tickets, ready one after the other over the span ``ready_in``."""
    sandbox = request.app[SANDBOX]
    body = await _body(request)
    count = body.get("count") if isinstance(body, dict) else None
    span = body.get("ready_in") if isinstance(body, dict) else None
    if not isinstance(count, int) or not 0 < count <= MOST_PLAIN_TICKETS:
        raise web.HTTPBadRequest(text=f'"count" must be a whole number from 1 to {MOST_PLAIN_TICKETS}.')
    if not (
        isinstance(span, list)
        and len(span) == 2
        and all(isinstance(end, int | float) for end in span)
        and 0 <= span[0] <= span[1]
    ):
        raise web.HTTPBadRequest(text='"ready_in" must be two numbers of seconds, the smaller one first.')
    first, last = span
    step = (last - first) / max(1, count - 1)
    return web.json_response({"tickets": [sandbox.add_plain_ticket(first + n * step) for n in range(count)]})


async def post_revoke(request: web.Request) -> web.Response:
    """What an owner does in the account's settings: the token answers 107 from now on."""
    sandbox = request.app[SANDBOX]
    body = await _body(request)
    token = body.get("token") if isinstance(body, dict) else None
    if not isinstance(token, str) or sandbox.credentials.tokens.pop(token, None) is None:
        raise web.HTTPNotFound(text="There is no such token.")
    return web.json_response({"revoked": True})


async def _body(request: web.Request) -> Any:
    try:
        return json.loads(await request.text())
    except ValueError as error:
        raise web.HTTPBadRequest(text="The body is not JSON.") from error
