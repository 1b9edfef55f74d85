"""What runs each method, and the methods that describe methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.catalog import METHODS
from ipernity_provider.sandbox.methods import account, auth, doc, listing, upload
from ipernity_provider.sandbox.reply import Payload

Handler: TypeAlias = Callable[[AuthorizedCall], Awaitable[Payload]]


async def get_methods(call: AuthorizedCall) -> Payload:
    """Answer ``api.methods.getList``."""
    return {"methods": {"method": [_describe(name, call.request.root) for name in METHODS]}}


async def get_method(call: AuthorizedCall) -> Payload:
    """Answer ``api.methods.get``."""
    name = call.required("method", 1)
    if name not in METHODS:
        raise call.error(1)
    return {"method": _describe(name, call.request.root)}


def _describe(name: str, root: str) -> Payload:
    requires = METHODS[name].requires
    return {
        "name": name,
        "service": name.partition(".")[0],
        "title": METHODS[name].title,
        "about": f"{root}/help/api/method/{name}",
        "modified_at": 1228086000,
        "authentication": {
            "post": requires.verb == "POST",
            "sign": requires.sign,
            "token": requires.token,
        },
        "permissions": {} if requires.right == "none" else {"doc": requires.right},
    }


async def hello(_: AuthorizedCall) -> Payload:
    """Answer ``test.hello``."""
    return {"hello": "hello world!"}


async def echo(call: AuthorizedCall) -> Payload:
    """Answer ``test.echo``: the parameters, without those that authenticate the call."""
    hidden = {"api_key", "api_sig", "auth_token", "api"}
    return {
        name: value
        for name, value in call.request.params.items()
        if name not in hidden and not name.startswith("oauth_")
    }


HANDLERS: Mapping[str, Handler] = {
    "account.getQuota": account.get_quota,
    "api.methods.get": get_method,
    "api.methods.getList": get_methods,
    "auth.checkToken": auth.check_token,
    "auth.getFrob": auth.get_frob,
    "auth.getToken": auth.get_token,
    "doc.checkMD5": listing.check_md5,
    "doc.delete": doc.delete,
    "doc.get": doc.get,
    "doc.getList": listing.get_list,
    "doc.getMedias": doc.get_medias,
    "doc.set": doc.set_fields,
    "test.echo": echo,
    "test.hello": hello,
    "upload.checkTickets": upload.check_tickets,
    "upload.file": upload.upload_file,
    "upload.replace": upload.replace,
    "user.get": account.get_user,
}
