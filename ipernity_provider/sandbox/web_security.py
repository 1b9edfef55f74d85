"""Keep web pages out: a page in a browser on this machine can send requests to the sandbox.

The sandbox has no login, so a page of another site could change or read everything. A request is
refused when its host name is not one of this machine's (DNS rebinding) or when a browser says that
another site sent it. Programs send neither ``Origin`` nor ``Sec-Fetch-Site``. Old programs send no
host name, which HTTP/1.0 allows; every browser sends one.
"""

from __future__ import annotations

import ipaddress
import re

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from aiohttp.typedefs import Handler, Middleware

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not "no-referrer": with it, browsers send the origin "null" with the consent form.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@]+))(?::\d{1,5})?")
_FOR_PROGRAMS = ("/api", "/_sandbox/", "/apps/oauth/request", "/apps/oauth/access")
"""Addresses that no link of another site may lead to; the others are pages."""


def guard(allowed_hosts: frozenset[str]) -> Middleware:
    """Return the middleware that refuses foreign host names and other sites.

    :param allowed_hosts: host names in lower case that are allowed besides those of loopback.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = request.headers.getall(hdrs.HOST, [])
        if not hosts and request.version < HttpVersion11:
            hosts = [_own_address(request)]
            request = request.clone(host=hosts[0])
            allowed = allowed_hosts | {_host_name(hosts[0])}
        else:
            allowed = allowed_hosts
        if len(hosts) != 1 or not hosts[0]:
            return _refusal(400, "The request needs exactly one header Host. Nothing was done.")
        names = {_host_name(hosts[0]), _host_name(request.host)}
        foreign = [name for name in names if not (is_loopback(name) or name in allowed)]
        if foreign:
            return _refusal(
                421,
                f"The sandbox does not answer to the host name {foreign[0][:100]!a}. "
                "Nothing was done. To allow a name, start it with --allow-host NAME.",
            )
        try:
            root = str(request.url.origin())
        except ValueError:
            return _refusal(400, "The request's address is not valid. Nothing was done.")
        is_page = not request.path.startswith(_FOR_PROGRAMS) and request.method in ("GET", "HEAD")
        if not is_page and _is_cross_site(request, root):
            return _refusal(403, "A page of another site sent the request. Nothing was done.")
        return await handler(request)

    return check


def is_loopback(name: str) -> bool:
    """Return whether a host name without port can only mean this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Add the protecting headers to a response that does not have its own."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def consent_policy(callback: str | None) -> str:
    """Return the Content-Security-Policy of a form whose answer may redirect to ``callback``."""
    target = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9.\[\]:-]+", callback or "")
    allowed = f"'self' {target[0]}" if target else "'self'"
    policy = HEADERS["Content-Security-Policy"]
    return policy.replace("form-action 'none'", f"form-action {allowed}")


def _own_address(request: web.Request) -> str:
    """Return the address and port at which the request arrived."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    if name is None:
        return "localhost"
    address, port = name[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _host_name(host: str) -> str:
    """Return the name in a Host header: without port and brackets, in lower case."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2] if match else host).lower()


def _is_cross_site(request: web.Request, root: str) -> bool:
    """Return whether a browser says that a page of another origin sent the request."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin.lower() != root:
        return True
    return request.headers.get("Sec-Fetch-Site", "none").lower() not in ("none", "same-origin")


def _refusal(status: int, sentence: str) -> web.Response:
    return web.Response(status=status, text=sentence)
