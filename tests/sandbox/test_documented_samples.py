"""The replies of the sandbox, member by member, against samples in the documented form.

The samples are written down here as the service's pages and other clients show them. A reply has
each of their members, and of the same type. Where a sample describes what the sandbox has, the
values are the same, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.sandbox.caller import TOKEN, Caller, jpeg, signed

AT = "1700000000"
OK = {"status": "ok", "at": AT}


def members(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each member of a reply with its path; a list is described by its first entry."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from members(member, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list) and value:
        yield from members(value[0], f"{path}[]")
    else:
        yield path, value


def assert_like(reply: Any, sample: Any, *, without: frozenset[str] = frozenset()) -> None:
    """Each member of the sample is in the reply with the same type."""
    found = dict(members(reply))
    for path, value in members(sample):
        if path not in without:
            assert path in found, f"{path} is missing"
            assert type(found[path]) is type(value), f"{path} is {found[path]!r}"
    assert list(reply)[-1] == "api"


def without_time(reply: Any) -> Any:
    assert reply["api"].pop("at").isdigit()
    return reply


def test_hello(sandbox: Caller) -> None:
    reply = sandbox.get("test.hello")
    assert_like(reply, {"hello": "hello world!", "api": OK})
    assert without_time(reply) == {"hello": "hello world!", "api": {"status": "ok"}}


def test_an_error(sandbox: Caller) -> None:
    error = {"status": "error", "at": AT, "code": "1", "message": "Document not found"}
    reply = sandbox.get("doc.get", doc_id="1")
    assert_like(reply, {"api": error})
    assert list(reply["api"]) == list(error)
    del error["at"]
    assert without_time(reply) == {"api": error}


def test_hello_and_an_error_in_xml(sandbox: Caller) -> None:
    def xml(method: str, **params: str) -> ET.Element:
        fields = signed(method, **params)
        return ET.fromstring(sandbox.http.get(sandbox.url(method, "xml"), params=fields).text)

    hello = xml("test.hello")
    assert hello.attrib.pop("at").isdigit()
    sample = ET.fromstring('<api status="ok"><hello>hello world!</hello></api>')
    assert ET.tostring(hello) == ET.tostring(sample)
    sample = ET.fromstring('<api status="error" code="1" message="Document not found"></api>')
    assert ET.tostring(xml("doc.get", doc_id="1")) == ET.tostring(sample)


TOKEN_INFO = {
    "auth": {
        "token": TOKEN,
        "permissions": {
            "doc": "write",
            "blog": "none",
            "profile": "none",
            "network": "none",
            "post": "none",
        },
        "user": {
            "user_id": "1234",
            "username": "Superman",
            "realname": "Kal-El",
            "lg": "en",
            "is_pro": "1",
        },
    },
    "api": OK,
}


def test_a_token(sandbox: Caller) -> None:
    reply = sandbox.get("auth.checkToken")
    assert_like(reply, TOKEN_INFO)
    assert reply["auth"] == TOKEN_INFO["auth"]


@pytest.mark.parametrize(
    ("method", "ticket"), [("upload.file", "12345445"), ("upload.replace", "12345445-98829")]
)
def test_a_ticket(sandbox: Caller, method: str, ticket: str) -> None:
    reply = sandbox.send(method, jpeg(), doc_id="5412")
    assert_like(reply, {"ticket": ticket, "api": OK})
    assert list(reply) == ["ticket", "api"]
    digits = [part.isdigit() for part in reply["ticket"].split("-")]
    assert digits == [part.isdigit() for part in ticket.split("-")]


TICKETS = {
    "tickets": {
        "done": "1",
        "invalid": "1",
        "left": "1",
        "eta": "15",
        "count": "3",
        "ticket": [
            {"id": "12345445-98829", "done": "1", "invalid": "0", "doc_id": "12345445", "eta": "0"},
            {"id": "712219", "done": "0", "invalid": "1", "eta": "0"},
            {"id": "712311", "done": "0", "invalid": "0", "eta": "15"},
        ],
    },
    "api": OK,
}


def test_tickets_that_are_done_invalid_and_pending(sandbox: Caller) -> None:
    done = sandbox.replace(jpeg())
    sandbox.wait(done)
    sandbox.change(invalid_next=1)
    invalid = sandbox.send("upload.file", jpeg())["ticket"]
    sandbox.wait(invalid)
    sandbox.change(processing_seconds=60, eta_seconds=15)
    pending = sandbox.send("upload.file", jpeg())["ticket"]

    reply = sandbox.get("upload.checkTickets", tickets=f"{done},{invalid},{pending}")
    assert_like(reply, TICKETS)
    tickets: Any = TICKETS["tickets"]
    assert list(reply["tickets"]) == list(tickets)  # one client finds members by their position
    assert {**reply["tickets"], "ticket": 0} == {**tickets, "ticket": 0}
    for report, sample in zip(reply["tickets"]["ticket"], tickets["ticket"], strict=True):
        assert report.keys() == sample.keys()
        kept = ("done", "invalid", "eta")
        assert [report[name] for name in kept] == [sample[name] for name in kept]


DOCUMENT = {
    "doc": {
        "doc_id": "5412",
        "media": "photo",
        "license": "0",
        "rotation": "0",
        "title": "A boat",
        "safety": "1",
        "link": "https://www.ipernity.com/doc/1234/5412",
        "description": "",
        "md5": "9e107d9d372bb6826bd81d3542a419d6",
        "owner": {"user_id": "1234", "username": "Superman", "realname": ""},
        "dates": {
            "posted_at": "1699990000",
            "replaced_at": AT,
            "created": "2023-11-14 10:00:00",
            "modified_at": AT,
        },
        "visibility": {"ispublic": "0", "isfriend": "0", "isfamily": "0", "share": "0"},
        "thumbs": {
            "thumb": [
                {
                    "label": "240",
                    "ext": "jpg",
                    "w": "240",
                    "h": "160",
                    "url": "https://cdn.ipernity.com/200/54/12/5412.1fa7020b.240.jpg?r2",
                }
            ]
        },
        "original": {
            "ext": "jpg",
            "w": "3000",
            "h": "2000",
            "filename": "boat.jpg",
            "bytes": "585654",
            "url": "https://cdn.ipernity.com/200/54/12/5412.253ade85.jpg?r2",
        },
    },
    "api": OK,
}


def test_a_document(sandbox: Caller) -> None:
    sandbox.wait(sandbox.replace(jpeg(size=(3000, 2000)), filename="boat.jpg"))
    reply = sandbox.get("doc.get", doc_id="5412", extra="md5")
    assert_like(reply, DOCUMENT)
    found, sample = dict(members(reply)), dict(members(DOCUMENT))
    own = ("link", "realname", "md5", "_at", "url", "bytes", "thumb[]", ".at")
    for path, value in sample.items():
        if not any(part in path for part in own):
            assert found[path] == value, path
    address = found["doc.original.url"]
    assert re.fullmatch(r"http://.+/200/54/12/5412\.[0-9a-f]{8}\.jpg\?r2", address)
    (thumb,) = [one for one in reply["doc"]["thumbs"]["thumb"] if one["label"] == "240"]
    assert (thumb["ext"], thumb["w"], thumb["h"]) == ("jpg", "240", "160")
    assert re.fullmatch(r"http://.+/5412\.[0-9a-f]{8}\.240\.jpg\?r2", thumb["url"])


EACH_PART = {
    "doc": {
        "owner": "user_id username realname alias is_pro icon",
        "dates": "posted_at created modified_at comment_at last_comment_at last_update_at",
        "visibility": "ispublic isfriend isfamily share",
        "permissions": "comment tag tagme",
        "count": "visits faves comments notes tags albums groups last_visit",
        "can": "fave comment tag tagme zoom download print",
        "you": "isfave visits last_visit",
        "geo": "lat lng loc_id location",
        "tags": "total tag",
        "notes": "total note",
        "original": "ext w h filename bytes url",
    }
}


@pytest.mark.parametrize(("part", "names"), EACH_PART["doc"].items())
def test_each_documented_member_of_a_document(sandbox: Caller, part: str, names: str) -> None:
    doc = sandbox.doc("5412", extra="tags,notes,geo,md5")
    assert set(names.split()) <= doc[part].keys()


def test_the_members_of_tags_notes_and_renditions(sandbox: Caller) -> None:
    doc = sandbox.doc("5412", extra="tags,notes")
    assert {"type", "id", "user_id", "tag", "added_at"} == doc["tags"]["tag"][0].keys()
    note = {"note_id", "user_id", "username", "x", "y", "w", "h", "content"}
    assert note == doc["notes"]["note"][0].keys()
    film = sandbox.doc("5418")
    names = {"label", "ext", "format", "w", "h", "lenght", "url"}
    assert names == film["medias"]["media"][0].keys()
    assert {"ext", "w", "h", "length", "filename", "bytes", "url"} == film["original"].keys()


SIZE = {"bytes": "104857600", "kb": "102400", "mb": "100"}
QUOTA = {
    "quota": {
        "user_id": "1234",
        "is_pro": "1",
        "upload": {
            "unlimited": "1",
            "max": {"bytes": "10737418240", "kb": "10485760", "mb": "10240", "percent": "100"},
            "used": {
                "bytes": "262144000",
                "kb": "256000",
                "mb": "250",
                "percent": "3",
                "seconds": "125",
            },
            "left": {
                "bytes": "10475274240",
                "kb": "10229760",
                "mb": "9990",
                "percent": "97",
                "seconds": "7075",
            },
        },
        "maxfilesize": {"photo": SIZE, "audio": SIZE, "video": SIZE, "other": SIZE},
        "albums": {"max": "2048", "created": "32", "left": "2016"},
    },
    "api": OK,
}


def test_the_quota(sandbox: Caller) -> None:
    sandbox.change(max_file_bytes=104857600)
    for number in range(30):  # and two that the sandbox starts with
        sandbox.post("album.create", title=f"Album {number}")
    reply = sandbox.get("account.getQuota")
    assert reply["quota"] == QUOTA["quota"]
    assert [path for path, _ in members(reply["quota"])] == [
        path for path, _ in members(QUOTA["quota"])
    ]  # one client finds members by their position


RELATIONS = ("isfamily", "isfriend", "iscontact", "revfamily", "revfriend", "revcontact")
USER = {
    "user": {
        **dict.fromkeys(
            ("user_id", "is_pro", "is_online", "is_closed", "tmo", "username", "realname"), ""
        ),
        **dict.fromkeys(("alias", "icon", "link"), ""),
        "relation": dict.fromkeys(RELATIONS, ""),
        "location": dict.fromkeys(("country", "town", "lat", "lng"), ""),
        "count": dict.fromkeys(("docs", "posts", "network"), ""),
        "dates": {"member_since": ""},
    },
    "api": OK,
}


@pytest.mark.parametrize("user_id", ["1234", "lois"])
def test_a_user(sandbox: Caller, user_id: str) -> None:
    reply = sandbox.get("user.get", user_id=user_id)
    assert_like(reply, USER)
    assert sandbox.http.get(reply["user"]["icon"]).headers["Content-Type"] == "image/png"


def test_a_list_of_documents(sandbox: Caller) -> None:
    thumb = dict.fromkeys(("label", "ext", "w", "h", "url"), "")
    head = dict.fromkeys(("doc_id", "media", "license", "title", "safety"), "")
    figures = dict.fromkeys(("total", "per_page", "page", "pages"), "")
    sample = {"docs": {**figures, "doc": [{**head, "thumb": thumb}]}, "api": OK}
    for method in ("doc.getList", "doc.search", "explore.docs.getPopular"):
        assert_like(sandbox.get(method), sample)


def test_checksums(sandbox: Caller) -> None:
    hit = {"md5": "", "found": "1", "doc_id": ""}
    sample = {"docs": {"count": "1", "found": "1", "doc": [hit]}, "api": OK}
    assert_like(sandbox.get("doc.checkMD5", md5=sandbox.doc("5412")["md5"]), sample)


def test_what_setting_and_tagging_answer(sandbox: Caller) -> None:
    doc = dict.fromkeys(("doc_id", "title", "share", "description"), "")
    reply = sandbox.post("doc.set", doc_id="5412", title="new")
    assert_like(reply, {"doc": doc, "api": OK})
    tag = dict.fromkeys(("type", "id", "user_id", "tag", "added_at"), "")
    sample = {"tags": {"added": "1", "dropped": "0", "tag": [tag]}, "api": OK}
    assert_like(sandbox.post("doc.tags.add", doc_id="5412", keywords="x"), sample)
    added = {"album_id": "201", "doc": [{"doc_id": "", "added": ""}]}
    reply = sandbox.post("album.docs.add", album_id="201", doc_id="5418")
    assert_like(reply, {"album": added, "api": OK})
