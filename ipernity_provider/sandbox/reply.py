"""Encode a payload as the service does: JSON as PHP writes arrays, or XML.

A payload consists of mappings, lists, texts and numbers. Numbers are sent as strings (unless
``numbers_as_numbers``), an empty mapping is ``[]``, an empty list is left out, and the payload
comes before the member ``api``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from xml.etree.ElementTree import Element, SubElement, tostring  # nosec B405  # nothing is parsed

from aiohttp import web

from ipernity_provider.sandbox.errors import ApiError

Value: TypeAlias = "str | int | float | Payload | Sequence[Payload]"
Payload: TypeAlias = Mapping[str, Value]

TEXT_ELEMENTS = frozenset({("auth", "frob"), ("auth", "token")})
"""Parent and name of what is an element with text in XML, like each ``description``.

Any other single value in an element is an attribute; ``content`` is the element's own text.
"""

_XML_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def success(payload: Payload, reply_format: str, at: int, *, numbers: bool) -> web.Response:
    """Return the reply to a call that succeeded; ``at`` is the service's time."""
    if reply_format == "xml":
        return _xml(payload, {"status": "ok", "at": str(at)})
    return _json({**payload, "api": {"status": "ok", "at": at}}, numbers=numbers)


def failure(error: ApiError, reply_format: str, at: int | None, *, numbers: bool) -> web.Response:
    """Return the reply to a call that failed; ``at`` is the service's time, if it shows it."""
    if reply_format == "xml":
        return _xml({}, {"status": "error", "code": str(error.code), "message": error.title})
    envelope: Payload = {
        "status": "error",
        **({} if at is None else {"at": at}),
        "code": error.code,
        "message": error.title,
    }
    return _json({"api": envelope}, numbers=numbers)


def _json(payload: Payload, *, numbers: bool) -> web.Response:
    """Return JSON with the content type that other clients have seen."""
    text = json.dumps(_php_array(payload, numbers=numbers), ensure_ascii=True)
    return web.Response(text=text, content_type="text/plain")


def _php_array(value: Value, *, numbers: bool) -> object:
    if isinstance(value, Mapping):
        members = {
            name: _php_array(member, numbers=numbers)
            for name, member in value.items()
            if not (isinstance(member, list | tuple) and not member)
        }
        return members or []
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        number = int(value) if isinstance(value, bool) else value
        return number if numbers else str(number)
    return [_php_array(member, numbers=numbers) for member in value]


def _xml(payload: Payload, attributes: dict[str, str]) -> web.Response:
    root = Element("api", {name: _xml_text(value) for name, value in attributes.items()})
    for name, value in payload.items():
        _add(root, name, value, top=True)
    return web.Response(text=tostring(root, encoding="unicode"), content_type="text/xml")


def _add(parent: Element, name: str, value: Value, *, top: bool = False) -> None:
    if not _XML_NAME.fullmatch(name):  # test.echo may be given any name
        return
    if isinstance(value, Mapping):
        child = SubElement(parent, name)
        for member_name, member in value.items():
            _add(child, member_name, member)
    elif isinstance(value, str | int | float):
        if name == "content":
            parent.text = _xml_text(value)
        elif top or name == "description" or (parent.tag, name) in TEXT_ELEMENTS:
            SubElement(parent, name).text = _xml_text(value)
        else:
            parent.set(name, _xml_text(value))
    else:
        for member in value:
            _add(parent, name, member)


def _xml_text(value: str | float) -> str:
    return _NOT_XML.sub("", str(int(value) if isinstance(value, bool) else value))
