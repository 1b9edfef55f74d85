"""``/api/<method>/<format>``: read a call, run its method and apply a requested fault.

Without the parameter ``lg`` the whole service cannot be reached: since 2026 it filters callers who
do not send it. What it answers them is not known; here it is HTTP 403 with a web page, as such a
filter would send (setting ``require_lg``).
"""

from __future__ import annotations

from aiohttp import web

from ipernity_provider.sandbox import reply
from ipernity_provider.sandbox.auth import authorize
from ipernity_provider.sandbox.catalog import ANSWERS_103, ENVELOPES, METHODS
from ipernity_provider.sandbox.errors import ApiError, not_emulated
from ipernity_provider.sandbox.faults import apply_fault, drop_connection, fault_reply
from ipernity_provider.sandbox.methods.registry import HANDLERS
from ipernity_provider.sandbox.parameters import PARAMETERS, Parameters
from ipernity_provider.sandbox.request import ApiRequest, UploadLimits, read_request
from ipernity_provider.sandbox.state import SANDBOX, Sandbox

FILTERED = (
    "<!DOCTYPE html><html><head><title>403 Forbidden</title></head><body><h1>Forbidden</h1>"
    "<p>Automated access is not allowed. (ipernity sandbox: the parameter lg is missing.)</p>"
    "</body></html>"
)


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer one call; a fault that fits it takes effect."""
    sandbox = request.app[SANDBOX]
    method = request.match_info.get("method", "")
    reply_format = request.match_info.get("format") or "json"
    sandbox.calls[method] += 1
    fault = sandbox.take_fault(method)
    if fault is not None and fault.action == "drop_before_reading":
        return drop_connection(request)
    settings = sandbox.settings
    limits = UploadLimits(  # only a method that takes a file gets one onto the disk
        sandbox.new_file_path() if method in ("upload.file", "upload.replace") else None,
        settings.max_file_bytes,
        rewrite=settings.rewrite_bytes,
        bytes_per_second=settings.receive_bytes_per_second,
    )
    try:
        call = await read_request(request, method, reply_format, limits)
        if fault is not None and fault.replaces_handling:
            return fault_reply(fault, method)
        if sandbox.settings.require_lg and not call.param("lg"):
            return _filtered(sandbox.settings.lg_refusal)
        response = await _handle(sandbox, call)
        return response if fault is None else await apply_fault(fault, method, response, request)
    except ConnectionError:  # the caller went away
        return drop_connection(request)
    except ApiError as error:  # of a fault, or of a body that cannot be read
        failure = _failure(sandbox, reply_format, error)
        if request.content.exception() is not None:
            failure.force_close()  # the rest of the body cannot be read either
        return failure
    finally:
        if limits.path is not None:
            limits.path.unlink(missing_ok=True)  # an accepted file was moved away before


async def _handle(sandbox: Sandbox, request: ApiRequest) -> web.Response:
    try:
        if request.format == "php":
            raise not_emulated("the format php is not emulated")
        if request.format not in ("json", "xml"):
            raise ApiError(102)
        parameters = _parameters(request.method)
        call = authorize(request, METHODS[request.method].requires, sandbox)
        given = [name for name, value in request.params.items() if value]
        name = parameters.not_applied(given)
        if name is not None:
            raise not_emulated(f"the parameter {name} of {request.method} is not emulated")
        payload = await HANDLERS[request.method](call)
    except ApiError as error:
        return _failure(sandbox, request.format, error)
    numbers = sandbox.settings.numbers_as_numbers
    response = reply.success(payload, request.format, sandbox.at(), numbers=numbers)
    return _with_content_type(sandbox, response)


def _parameters(method: str) -> Parameters:
    """Return the parameters of a method that the sandbox has.

    :raises ApiError: 103 for a name that the service does not have, 900 for one that it has.
    """
    if method in PARAMETERS:
        return PARAMETERS[method]
    if method in ENVELOPES:
        raise not_emulated(f"requests of the form {method} are not emulated")
    if method in METHODS and method not in ANSWERS_103:
        raise not_emulated(f"the method {method} of the service is not emulated")
    raise ApiError(103)


def _failure(sandbox: Sandbox, reply_format: str, error: ApiError) -> web.Response:
    settings = sandbox.settings
    at = sandbox.at() if settings.error_at else None
    response = reply.failure(error, reply_format, at, numbers=settings.numbers_as_numbers)
    response.set_status(settings.error_http_status)
    return _with_content_type(sandbox, response)


def _filtered(refusal: str) -> web.Response:
    """Return what a caller without ``lg`` gets.

    :raises ApiError: for a refusal in the service's own words.
    """
    kind, _, number = refusal.partition(":")
    if kind == "code":
        raise ApiError(int(number))
    return web.Response(status=int(number), text=FILTERED, content_type="text/html")


def _with_content_type(sandbox: Sandbox, response: web.Response) -> web.Response:
    if response.content_type == "text/plain":  # JSON
        response.content_type = sandbox.settings.reply_content_type
    return response
