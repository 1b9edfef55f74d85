"""``/api/<method>/<format>``: read a call, run its method and apply a requested fault.

Without the parameter ``lg`` the whole service cannot be reached: since 2026 it filters callers who
do not send it. What it answers them is not known; here it is HTTP 403 with a web page, as such a
filter would send (setting ``require_lg``).
"""

from __future__ import annotations

from aiohttp import web

from ipernity_provider.sandbox import reply
from ipernity_provider.sandbox.auth import authorize
from ipernity_provider.sandbox.catalog import ANSWERS_103, ENVELOPES, FORMATS, METHODS
from ipernity_provider.sandbox.errors import ApiError, not_emulated
from ipernity_provider.sandbox.faults import Fault, apply_fault, drop_connection, fault_reply
from ipernity_provider.sandbox.methods.registry import HANDLERS
from ipernity_provider.sandbox.parameters import PARAMETERS, Parameters
from ipernity_provider.sandbox.request import ApiRequest, UploadLimits, read_request
from ipernity_provider.sandbox.request_log import RequestRecord
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
    record = sandbox.requests.start(sandbox.now(), method, request.method, reply_format)
    fault = sandbox.take_fault(method)
    record.fault = None if fault is None else fault.kind
    if fault is not None and fault.action == "drop_before_reading":
        return drop_connection(request)
    limits = _limits(sandbox, method)
    try:
        response = await _respond(request, record, limits, fault)
    except ConnectionError:  # the caller went away
        return drop_connection(request)
    except ApiError as error:
        record.refuse(error)
        response = reply.failure(error, reply_format, sandbox.at(), sandbox.settings)
        if request.content.exception() is not None:
            response.force_close()  # the rest of the body cannot be read either
    finally:
        if limits.path is not None:
            limits.path.unlink(missing_ok=True)  # an accepted file was moved away before
    if request.transport is not None and not request.transport.is_closing():
        record.http = response.status
    return response


def _limits(sandbox: Sandbox, method: str) -> UploadLimits:
    """Return how a file is received: only a method that takes one gets it onto the disk."""
    settings = sandbox.settings
    return UploadLimits(
        sandbox.new_file_path() if method in ("upload.file", "upload.replace") else None,
        settings.max_file_bytes,
        rewrite=settings.rewrite_bytes,
        bytes_per_second=settings.receive_bytes_per_second,
    )


async def _respond(
    request: web.Request, record: RequestRecord, limits: UploadLimits, fault: Fault | None
) -> web.Response:
    """Read the call, run its method and apply the fault.

    :raises ApiError: of the body, of ``lg`` or of the fault.
    """
    sandbox = request.app[SANDBOX]
    call = await read_request(request, record.method, record.format, limits)
    record.read(call)
    if fault is not None and fault.replaces_handling:
        return fault_reply(fault, call.method)
    if sandbox.settings.require_lg and not call.param("lg"):
        return _filtered(sandbox.settings.lg_refusal)
    try:
        payload = await _run(sandbox, call)
        record.status = "ok"
        response = reply.success(payload, call.format, sandbox.at(), sandbox.settings)
    except ApiError as error:
        record.refuse(error)
        response = reply.failure(error, call.format, sandbox.at(), sandbox.settings)
    return response if fault is None else await apply_fault(fault, call.method, response, request)


async def _run(sandbox: Sandbox, request: ApiRequest) -> reply.Payload:
    """Check a call and run its method.

    :raises ApiError: when it is refused.
    """
    if request.format not in FORMATS:
        raise ApiError(102)
    parameters = _parameters(request.method)
    call = authorize(request, METHODS[request.method].requires, sandbox)
    name = parameters.not_applied(name for name, value in request.params.items() if value)
    if name is not None:
        raise not_emulated(f"the parameter {name} of {request.method} is not emulated")
    return await HANDLERS[request.method](call)


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


def _filtered(refusal: str) -> web.Response:
    """Return what a caller without ``lg`` gets.

    :raises ApiError: for a refusal in the service's own words.
    """
    kind, _, number = refusal.partition(":")
    if kind == "code":
        raise ApiError(int(number))
    return web.Response(status=int(number), text=FILTERED, content_type="text/html")
