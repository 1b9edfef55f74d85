"""``/api/<method>/<format>``: one call from the first byte to the last.

Without the parameter ``lg`` the whole service is out of reach: since 2026 it filters callers who do not send it. What
it answers them is not known; here it is HTTP 403 with a web page, as such a filter would (setting ``require_lg``).
"""

from __future__ import annotations

from aiohttp import web

from ipernity_provider.sandbox import reply
from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.faults import drop_connection, replacing_reply, spoil
from ipernity_provider.sandbox.gate import admit, check_verb
from ipernity_provider.sandbox.methods.registry import METHODS
from ipernity_provider.sandbox.receive import ApiCall, Reception, receive
from ipernity_provider.sandbox.state import SANDBOX, Sandbox

FILTERED = (
    "<!DOCTYPE html><html><head><title>403 Forbidden</title></head><body><h1>Forbidden</h1>"
    "<p>Automated access is not allowed. (ipernity sandbox: the parameter lg is missing.)</p></body></html>"
)


async def answer(request: web.Request) -> web.StreamResponse:
    """Read the call, handle it, and let a fault that was ordered do its work."""
    sandbox = request.app[SANDBOX]
    method = request.match_info.get("method", "")
    sandbox.calls[method] += 1
    fault = sandbox.take_fault(method)
    if fault is not None and fault.action == "drop_before_reading":
        return drop_connection(request)
    reception = _reception(sandbox, method)
    try:
        call = await receive(request, method, request.match_info.get("format") or "json", reception)
    except ConnectionError:  # the caller went away
        return drop_connection(request)
    try:
        if fault is not None and fault.replaces_handling:
            return replacing_reply(fault, method)
        if sandbox.settings.require_lg and not call.param("lg"):
            return web.Response(status=403, text=FILTERED, content_type="text/html")
        response = await _handle(sandbox, call)
        return response if fault is None else await spoil(fault, method, response, request)
    except ApiError as error:  # a fault's code; those of the call itself are replies already
        return _failure(sandbox, call, error)
    finally:
        if reception.path is not None:
            reception.path.unlink(missing_ok=True)  # an accepted file was moved away before


def _reception(sandbox: Sandbox, method: str) -> Reception:
    """Only the methods that take a file get one onto the disk."""
    settings = sandbox.settings
    path = sandbox.new_file_path() if method in ("upload.file", "upload.replace") else None
    return Reception(path, settings.max_file_bytes, settings.rewrite_bytes, settings.receive_bytes_per_second)


async def _handle(sandbox: Sandbox, call: ApiCall) -> web.Response:
    try:
        if call.format not in ("json", "xml"):
            raise ApiError(102)  # php is a format of the service, but the sandbox does not write it
        method = METHODS.get(call.method)
        if method is None:
            raise ApiError(103)
        check_verb(call.verb, method.needs)
        payload = await method.handler(admit(call, method.needs, sandbox))
    except ApiError as error:
        return _failure(sandbox, call, error)
    numbers = sandbox.settings.numbers_as_numbers
    return reply.success(payload, call.format, sandbox.at(), numbers=numbers)


def _failure(sandbox: Sandbox, call: ApiCall, error: ApiError) -> web.Response:
    return reply.failure(error, call.format, sandbox.at(), numbers=sandbox.settings.numbers_as_numbers)
