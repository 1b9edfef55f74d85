"""Encode a payload as the service does: JSON as PHP writes arrays, PHP's own form, or XML.

A payload consists of mappings, lists, texts and numbers. Numbers are sent as strings, an empty
mapping is ``[]``, an empty list is left out, and the payload comes before the member ``api``. The
settings ``numbers_as_numbers``, ``number_members`` and ``empty_collections`` change that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element, SubElement, tostring  # nosec B405  # nothing is parsed

from aiohttp import web

from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.settings import Settings

Value: TypeAlias = "str | int | float | Payload | Sequence[Payload]"
Payload: TypeAlias = Mapping[str, Value]

TEXT_ELEMENTS = frozenset({("auth", "frob"), ("auth", "token")})
"""Parent and name of what is an element with text in XML, like each ``description``.

Any other single value in an element is an attribute; ``content`` is the element's own text.
"""

_PHP_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_XML_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def success(payload: Payload, reply_format: str, at: int, settings: Settings) -> web.Response:
    """Return the reply to a call that succeeded; ``at`` is the service's time."""
    if reply_format == "xml":
        return _xml(payload, {"status": "ok", "at": str(at)})
    return _array({**payload, "api": {"status": "ok", "at": at}}, reply_format, settings)


def failure(error: ApiError, reply_format: str, at: int, settings: Settings) -> web.Response:
    """Return the reply to a call that failed."""
    if reply_format == "xml":
        response = _xml({}, {"status": "error", "code": str(error.code), "message": error.title})
    else:
        envelope: Payload = {
            "status": "error",
            **({"at": at} if settings.error_at else {}),
            "code": error.code,
            "message": error.title,
        }
        response = _array({"api": envelope}, reply_format, settings)
    response.set_status(settings.error_http_status)
    return response


def _array(payload: Payload, reply_format: str, settings: Settings) -> web.Response:
    """Return JSON without blanks, or PHP's serialized form: both are dumps of one array."""
    array = _php_array(payload, settings)
    if reply_format == "php":
        return web.Response(text=_serialized(array), content_type="text/plain")
    text = json.dumps(array, ensure_ascii=True, separators=(",", ":"))
    return web.Response(text=text, content_type=settings.reply_content_type)


def _php_array(value: Value, settings: Settings, path: str = "") -> Any:
    """Return the value as PHP dumps it.

    :param path: the names that lead to it, joined by dots.
    """
    if isinstance(value, Mapping):
        members = {
            name: _php_array(member, settings, f"{path}.{name}" if path else name)
            for name, member in value.items()
            if settings.empty_collections == "list" or not _is_empty_list(member)
        }
        return members or []
    if isinstance(value, str | int | float):
        return _scalar(value, settings.form_of_number(path))
    return [_php_array(member, settings, path) for member in value]


def _is_empty_list(value: Value) -> bool:
    return isinstance(value, list | tuple) and not value


def _scalar(value: str | float, form: str) -> str | int | float:
    if isinstance(value, str):
        return value
    number = int(value) if isinstance(value, bool) else value
    return number if form == "number" else str(number)


def _serialized(value: Any) -> str:
    """Return PHP's serialized form; lengths of texts are in bytes."""
    if isinstance(value, str):
        return f's:{len(value.encode("utf-8", "replace"))}:"{value}";'
    if isinstance(value, int):
        return f"i:{value};"
    if isinstance(value, float):
        return f"d:{value!r};"
    members = value.items() if isinstance(value, dict) else enumerate(value)
    inner = "".join(_serialized(_php_key(name)) + _serialized(member) for name, member in members)
    return f"a:{len(value)}:{{{inner}}}"


def _php_key(name: str | int) -> str | int:
    """Return a key as PHP has it: a whole number in its usual form is one."""
    return int(name) if isinstance(name, str) and _PHP_NUMBER.fullmatch(name) else name


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
