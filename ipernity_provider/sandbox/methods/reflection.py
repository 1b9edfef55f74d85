"""``api.methods.*`` and ``test.*``."""

from __future__ import annotations

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.catalog import METHODS, SERVICES
from ipernity_provider.sandbox.errors import METHOD_TITLES
from ipernity_provider.sandbox.parameters import AUTHENTICATION, PARAMETERS
from ipernity_provider.sandbox.reply import Payload, Value


async def get_methods(call: AuthorizedCall) -> Payload:
    """Answer with all methods of the service, also those that the sandbox does not have."""
    return {"methods": {"method": [_describe(name, call.request.root) for name in METHODS]}}


async def get_method(call: AuthorizedCall) -> Payload:
    """Answer with one method; with its parameters and errors if the sandbox has it.

    Only the names of these members are documented; their form follows that of all lists.
    """
    name = call.required("method", 1)
    if name not in METHODS:
        raise call.error(1)
    known = PARAMETERS.get(name)
    parameters: list[Payload] = [
        {"name": one} for one in ((*known.applied, *known.refused) if known else ())
    ]
    errors: list[Payload] = [
        {"code": code, "message": title} for code, title in METHOD_TITLES.get(name, {}).items()
    ]
    details: dict[str, Value] = {
        "parameters": {"parameter": parameters},
        "response": "",
        "errors": {"error": errors},
        "notes": "",
        "changelog": "",
    }
    return {"method": {**_describe(name, call.request.root), **details}}


def _describe(name: str, root: str) -> Payload:
    requires = METHODS[name].requires
    authentication: dict[str, Value] = {
        "post": requires.verb == "POST",
        **({"safety": True} if requires.safety else {}),
        "sign": requires.sign,
        "token": requires.token,
    }
    return {
        "name": name,
        "service": SERVICES.get(name, name.partition(".")[0]),
        "title": METHODS[name].title,
        "about": f"{root}/help/api/method/{name}",
        "modified_at": 1228086000,
        "authentication": authentication,
        "permissions": {requires.area: requires.level} if requires.area else {},
    }


async def hello(_: AuthorizedCall) -> Payload:
    """Answer ``test.hello``."""
    return {"hello": "hello world!"}


async def echo(call: AuthorizedCall) -> Payload:
    """Answer ``test.echo``: the parameters, without those that authenticate the call."""
    hidden = {*AUTHENTICATION, "api"} - {"lg"}
    return {
        name: value
        for name, value in call.request.params.items()
        if name not in hidden and not name.startswith("oauth_")
    }
