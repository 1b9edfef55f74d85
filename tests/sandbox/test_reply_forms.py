"""JSON, PHP's form and XML; and the settings that change how values are written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.caller import KEY, Caller, signed


def text(sandbox: Caller, method: str, reply_format: str = "json", **params: str) -> str:
    fields = signed(method, **params)
    return str(sandbox.http.get(sandbox.url(method, reply_format), params=fields).text)


def test_json_has_no_blanks(sandbox: Caller) -> None:
    reply = text(sandbox, "test.echo", echo="a, b: c")
    assert reply.startswith('{"echo":"a, b: c","lg":"en","api":{"status":"ok","at":"')
    assert ": " not in reply.replace("a, b: c", "")


def unserialize(data: bytes) -> Any:
    """Read PHP's serialized form: an independent, small reader."""
    value, rest = _value(data)
    assert rest == b""
    return value


def _value(data: bytes) -> tuple[Any, bytes]:
    kind, data = data[:2], data[2:]
    if kind in (b"i:", b"d:"):
        number, _, rest = data.partition(b";")
        return (int if kind == b"i:" else float)(number), rest
    length, _, data = data.partition(b":")
    if kind == b"s:":
        end = 1 + int(length)
        assert data[:1] + data[end : end + 2] == b'"";'
        return data[1:end].decode(), data[end + 2 :]
    assert kind == b"a:"
    assert data[:1] == b"{"
    data, members = data[1:], {}
    for _ in range(int(length)):
        name, data = _value(data)
        members[name], data = _value(data)
    assert data[:1] == b"}"
    return members, data[1:]


def as_lists(value: Any) -> Any:
    """PHP has one kind of array for lists and mappings."""
    if not isinstance(value, dict):
        return value
    members = {name: as_lists(member) for name, member in value.items()}
    return list(members.values()) if list(members) == list(range(len(members))) else members


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("doc.get", {"doc_id": "5412", "extra": "tags,notes,geo,md5"}),
        ("api.methods.getList", {}),
        ("test.echo", {"echo": "Übers Meer €"}),
        ("doc.get", {"doc_id": "1"}),
    ],
)
def test_php_is_the_same_array_as_json(
    sandbox: Caller, method: str, params: dict[str, str], numbers: bool
) -> None:
    sandbox.change(numbers_as_numbers=numbers)
    found = as_lists(unserialize(text(sandbox, method, "php", **params).encode()))
    expected = sandbox.get(method, **params)
    assert abs(int(found["api"].pop("at")) - int(expected["api"].pop("at"))) <= 5
    assert found == expected


def test_whole_numbers_are_keys_in_php(sandbox: Caller) -> None:
    fields = {"api_key": KEY, "lg": "en", "7": "a", "07": "b"}
    reply = sandbox.http.get(sandbox.url("test.echo", "php"), params=fields).text
    assert reply.startswith('a:4:{s:2:"lg";s:2:"en";i:7;s:1:"a";s:2:"07";s:1:"b";s:3:"api";')


def test_an_unknown_format_is_an_error_in_json(sandbox: Caller) -> None:
    assert '"code":"102","message":"Invalid format"' in text(sandbox, "test.hello", "yaml")


def test_single_members_can_be_numbers_as_old_clients_expect_them(sandbox: Caller) -> None:
    members = {
        "tickets.eta": "number",
        "tags.total": "number",
        "quota.upload.left.bytes": "number",
    }
    sandbox.change(number_members=members, processing_seconds=30)
    tickets = sandbox.get("upload.checkTickets", tickets=sandbox.replace(b"\xff\xd8 x"))["tickets"]
    assert isinstance(tickets["eta"], int)
    assert (tickets["count"], type(tickets["ticket"][0]["eta"])) == ("1", str)
    assert sandbox.get("doc.tags.getList", doc_id="5412")["tags"]["total"] == 3
    assert sandbox.get("album.getList")["albums"]["total"] == "2"
    quota = sandbox.get("account.getQuota")["quota"]["upload"]
    assert isinstance(quota["left"]["bytes"], int)
    assert isinstance(quota["used"]["bytes"], str)


def test_single_members_can_be_texts_among_numbers(sandbox: Caller) -> None:
    sandbox.change(numbers_as_numbers=True, number_members={"docs.doc.license": "text"})
    docs = sandbox.get("doc.getList")["docs"]
    assert (docs["total"], docs["doc"][0]["license"], docs["doc"][0]["safety"]) == (7, "0", 1)


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("doc.getList", ("docs", "doc"), {"page": "9"}),
        ("doc.tags.getList", ("tags", "tag"), {"doc_id": "5413"}),
        ("doc.getContainers", ("albums", "album"), {"doc_id": "5418"}),
        ("album.docs.getList", ("album", "docs", "doc"), {"album_id": "201", "page": "9"}),
    ],
)
def test_an_empty_collection_is_missing_or_an_empty_list(
    sandbox: Caller, method: str, path: tuple[str, ...], params: dict[str, str]
) -> None:
    def parent() -> Any:
        reply = sandbox.get(method, **params)
        for name in path[:-1]:
            reply = reply[name]
        return reply

    assert path[-1] not in parent()
    sandbox.change(empty_collections="list")
    assert parent()[path[-1]] == []


def test_a_note_has_its_text_in_xml(sandbox: Caller) -> None:
    reply = text(sandbox, "doc.get", "xml", doc_id="5412", extra="notes")
    assert 'x="60" y="40" w="120" h="80">The red sail</note>' in reply
