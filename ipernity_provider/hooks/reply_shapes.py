"""What the service's replies should look like: a change is found before a task fails on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ipernity_provider.api.parsing import as_flag, as_int

#: A member by its dotted path (``a|b`` for either of two names) -> its expected type.
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
_LIST: Shape = {
    "docs": "object",
    "docs.total": "number",
    "docs.page": "number",
    "docs.per_page": "number",
}
_DOCUMENT: Shape = {"doc_id": "text", "media": "text", "title": "text", "thumb": "object"}

_TYPES: Mapping[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str | int) and not isinstance(value, bool),
    "number": lambda value: as_int(value) is not None,
    "flag": lambda value: as_flag(value) or value in ("0", 0, "false", ""),
    "object": lambda value: isinstance(value, Mapping),
}


def find_differences(method: str, reply: Mapping[str, Any], shape: Shape) -> Iterator[str]:
    """Yield half a sentence for each member that is missing or of another type.

    Values are not quoted: they can be secret.
    """
    for path, kind in shape.items():
        found, value = _find_member(reply, path)
        name = path.replace("|perms", "")
        if not found:
            yield f"{method} has no {name}"
        elif not _TYPES[kind](value):
            yield f"{name} of {method} is not {'an' if kind == 'object' else 'a'} {kind}"


def find_list_differences(reply: Mapping[str, Any]) -> Iterator[str]:
    """Yield the differences of ``doc.getList``, which has no documents where there are none."""
    yield from find_differences("doc.getList", reply, _LIST)
    _, total = _find_member(reply, "docs.total")
    found, documents = _find_member(reply, "docs.doc")
    if found and not isinstance(documents, list):
        yield "docs.doc of doc.getList is not a list"
    elif not found and as_int(total):
        yield "doc.getList has no docs.doc"
    for document in documents[:1] if isinstance(documents, list) else ():
        yield from find_differences("a document of doc.getList", document, _DOCUMENT)


def _find_member(reply: object, path: str) -> tuple[bool, Any]:
    """Return whether the member exists, and its value."""
    value: Any = reply
    for step in path.split("."):
        names = [name for name in step.split("|") if isinstance(value, Mapping) and name in value]
        if not names:
            return False, None
        value = value[names[0]]
    return True, value
