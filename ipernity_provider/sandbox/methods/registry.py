"""All methods of the sandbox with what each one needs of its caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ipernity_provider.sandbox.gate import Admitted, Needs
from ipernity_provider.sandbox.methods import account, auth, doc, echo, listing, upload, user
from ipernity_provider.sandbox.reply import Payload

Handler: TypeAlias = Callable[[Admitted], Awaitable[Payload]]


@dataclass(frozen=True)
class Method:
    """A method: its name, what it is for, what it runs and what it asks of its caller."""

    name: str
    title: str
    handler: Handler
    needs: Needs


async def get_methods(asked: Admitted) -> Payload:
    """``api.methods.getList``."""
    return {"methods": {"method": [_described(method, asked.call.root) for method in METHODS.values()]}}


async def get_method(asked: Admitted) -> Payload:
    """``api.methods.get``."""
    name = asked.required("method", 1)
    if name not in METHODS:
        raise asked.error(1)
    return {"method": _described(METHODS[name], asked.call.root)}


def _described(method: Method, root: str) -> Payload:
    needs = method.needs
    return {
        "name": method.name,
        "service": method.name.partition(".")[0],
        "title": method.title,
        "about": f"{root}/help/api/method/{method.name}",
        "modified_at": 1228086000,
        "authentication": {"post": needs.verb == "POST", "sign": needs.sign, "token": needs.token},
        "permissions": {} if needs.right == "none" else {"doc": needs.right},
    }


_WRITES = Needs(token=True, sign=True, verb="POST", right="write")
_READS_UPLOADS = Needs(token=True, sign=True, right="write")
_SIGNED = Needs(sign=True)

_ALL = (
    Method("account.getQuota", "The account's limits", account.get_quota, _READS_UPLOADS),
    Method("api.methods.get", "One method", get_method, Needs(verb="GET")),
    Method("api.methods.getList", "All methods", get_methods, Needs()),
    Method("auth.checkToken", "What a token is good for", auth.check_token, Needs(token=True, sign=True)),
    Method("auth.getFrob", "Begin an authorization", auth.get_frob, _SIGNED),
    Method("auth.getToken", "Exchange a frob", auth.get_token, _SIGNED),
    Method("doc.checkMD5", "Find files", listing.check_md5, Needs(token=True, sign=True, right="read")),
    Method("doc.delete", "Delete", doc.delete, Needs(token=True, sign=True, verb="POST", right="delete")),
    Method("doc.get", "One document", doc.get, Needs()),
    Method("doc.getList", "The documents of a user", listing.get_list, Needs()),
    Method("doc.getMedias", "The files of a document", doc.get_medias, Needs()),
    Method("doc.set", "Change a document's texts", doc.set_fields, _WRITES),
    Method("test.echo", "Parameters back", echo.echo, Needs()),
    Method("test.hello", "Hello", echo.hello, Needs()),
    Method("upload.checkTickets", "How uploads are doing", upload.check_tickets, _READS_UPLOADS),
    Method("upload.file", "A new document", upload.upload_file, _WRITES),
    Method("upload.replace", "Another file behind a document", upload.replace, _WRITES),
    Method("user.get", "One user", user.get, _SIGNED),
)

METHODS: Mapping[str, Method] = {method.name: method for method in _ALL}
