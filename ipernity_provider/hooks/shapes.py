"""What answers are expected to look like: a change of the service shows here before a task stumbles over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ipernity_provider.api.parsing import as_flag, as_int

#: A member by its dotted path, ``a|b`` for either of two names -> the type that is expected.
Shape = Mapping[str, str]

TOKEN: Shape = {
    "auth.token": "text",
    "auth.user.user_id": "text",
    "auth.user.username": "text",
    "auth.user.is_pro": "flag",
    "auth.permissions|perms": "object",
    "auth.permissions|perms.doc": "text",
}
QUOTA: Shape = {
    "quota.is_pro": "flag",
    "quota.upload.used.bytes": "number",
    "quota.upload.left.bytes": "number",
    "quota.maxfilesize.photo.bytes": "number",
}
LIST: Shape = {
    "docs": "object",
    "docs.total": "number",
    "docs.page": "number",
    "docs.per_page": "number",
}
DOCUMENT: Shape = {"doc_id": "text", "media": "text", "title": "text", "thumb": "object"}


def _is_text(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_flag(value: object) -> bool:
    return as_flag(value) or value in ("0", 0, "false", "")


_TYPES: Mapping[str, Callable[[object], bool]] = {
    "text": _is_text,
    "number": lambda value: as_int(value) is not None,
    "flag": _is_flag,
    "object": lambda value: isinstance(value, Mapping),
}


def differences(method: str, reply: Mapping[str, Any], shape: Shape) -> Iterator[str]:
    """Half a sentence for each member that is missing or of another type; no values, for they can be secret."""
    for path, kind in shape.items():
        found, value = _member(reply, path)
        if not found:
            yield f"{method} has no {path.partition('|')[0] if path.endswith('perms') else path}"
        elif not _TYPES[kind](value):
            yield f"{path} of {method} is no {kind}"


def list_differences(reply: Mapping[str, Any]) -> Iterator[str]:
    """The same for ``doc.getList``, whose documents are missing where there are none."""
    yield from differences("doc.getList", reply, LIST)
    _, total = _member(reply, "docs.total")
    found, documents = _member(reply, "docs.doc")
    if found and not isinstance(documents, list):
        yield "docs.doc of doc.getList is no list"
    elif not found and as_int(total):
        yield "doc.getList has no docs.doc"
    for document in documents[:1] if isinstance(documents, list) else ():
        yield from differences("a document of doc.getList", document, DOCUMENT)


def _member(reply: object, path: str) -> tuple[bool, Any]:
    """Whether the member is there, and its value."""
    value: Any = reply
    for step in path.split("."):
        name = next((name for name in step.split("|") if isinstance(value, Mapping) and name in value), None)
        if name is None:
            return False, None
        value = value[name]
    return True, value
