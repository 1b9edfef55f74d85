from __future__ import annotations

import hashlib
from xml.etree import ElementTree as ET

import pytest

from tests.sandbox.caller import Caller, jpeg, signed


def test_json_is_sent_as_text_plain_with_the_payload_first_and_numbers_as_texts(
    sandbox: Caller,
) -> None:
    response = sandbox.http.get(sandbox.url("doc.getList"), params=signed("doc.getList"))
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    reply = response.json()
    assert list(reply) == ["docs", "api"]
    assert list(reply["api"]) == ["status", "at"]
    assert (reply["docs"]["total"], reply["docs"]["pages"]) == ("7", "1")
    assert reply["api"]["at"].isdigit()


def test_json_is_the_format_when_none_is_named(sandbox: Caller) -> None:
    url = f"{sandbox.root}/api/test.hello"
    assert sandbox.http.get(url, params=signed("test.hello")).json()["hello"] == "hello world!"


def test_an_error_has_http_200_and_its_short_title(sandbox: Caller) -> None:
    response = sandbox.http.get(sandbox.url("doc.get"), params=signed("doc.get", doc_id="1"))
    assert response.status_code == 200
    error = response.json()
    at = error["api"].pop("at")
    assert at.isdigit()
    assert error == {"api": {"status": "error", "code": "1", "message": "Document not found"}}


def test_xml_has_attributes_text_elements_and_repeated_children(sandbox: Caller) -> None:
    def xml(method: str, **params: str) -> ET.Element:
        response = sandbox.http.get(sandbox.url(method, "xml"), params=signed(method, **params))
        assert response.headers["Content-Type"] == "text/xml; charset=utf-8"
        return ET.fromstring(response.text)

    hello = xml("test.hello")
    assert (hello.tag, hello.get("status"), hello.findtext("hello")) == (
        "api",
        "ok",
        "hello world!",
    )
    assert str(hello.get("at")).isdigit()
    doc = xml("doc.get", doc_id="5413", extra="md5").find("doc")
    assert doc is not None
    assert (doc.get("doc_id"), doc.get("title")) == ("5413", "Blue mountains")
    assert doc.findtext("description") == "Four ridges, one evening."
    assert [thumb.get("label") for thumb in doc.findall("thumbs/thumb")][:2] == ["75x", "100"]
    error = xml("doc.get", doc_id="1")
    assert error.attrib == {"status": "error", "code": "1", "message": "Document not found"}
    assert xml("test.echo", echo="a<b>\x01&ä").findtext("echo") == "a<b>&ä"


def test_empty_maps_are_lists_and_empty_lists_are_left_out(sandbox: Caller) -> None:
    methods = {
        m["name"]: m for m in sandbox.get("api.methods.getList", token=None)["methods"]["method"]
    }
    assert methods["test.hello"]["permissions"] == []
    assert methods["doc.delete"]["permissions"] == {"doc": "delete"}
    page = sandbox.get("doc.getList", media="video", page="2")["docs"]
    assert "doc" not in page
    assert sandbox.doc("5413", extra="tags")["tags"] == {"total": "0"}


@pytest.mark.parametrize(
    ("doc_id", "media", "filename"),
    [
        ("5412", "photo", "boat.jpg"),
        ("5414", "photo", "meadow.png"),
        ("5416", "other", "timetable.pdf"),
        ("5417", "audio", "tuning_fork.wav"),
        ("5418", "video", "film.mp4"),
    ],
)
def test_the_seeds_are_real_files_with_true_figures(
    sandbox: Caller, doc_id: str, media: str, filename: str
) -> None:
    doc = sandbox.doc(doc_id)
    content = sandbox.http.get(doc["original"]["url"]).content
    assert (doc["media"], doc["original"]["filename"]) == (media, filename)
    assert (doc["md5"], doc["original"]["bytes"]) == (
        hashlib.md5(content).hexdigest(),
        str(len(content)),
    )
    thumbs = {thumb["label"]: thumb["url"] for thumb in doc["thumbs"]["thumb"]}
    assert {"75x", "100", "240", "500"} <= thumbs.keys()
    assert sandbox.http.get(thumbs["240"]).content.startswith(b"\xff\xd8")
    assert ("medias" in doc) == (media in ("audio", "video"))


@pytest.mark.parametrize(
    ("doc_id", "size", "seconds"), [("5418", ("480", "320"), "2"), ("5417", ("0", "0"), "2")]
)
def test_a_film_and_a_sound_have_a_rendition_with_its_figures(
    sandbox: Caller, doc_id: str, size: tuple[str, str], seconds: str
) -> None:
    doc = sandbox.doc(doc_id)
    (media,) = doc["medias"]["media"]
    assert (media["w"], media["h"]) == size
    assert media["lenght"] == doc["original"]["length"] == seconds
    assert media["label"] == media["ext"] == media["format"] == doc["original"]["ext"]
    assert media["url"] == doc["original"]["url"]


@pytest.mark.parametrize(
    ("doc_id", "content", "filename", "count"),
    [
        ("5416", b"%PDF-1.7", "a.pdf", 8),
        ("5417", b"ID3 ...", "a.mp3", 8),
        ("5418", b"\0\0\0\x18ftypmp42", "a.mp4", 8),
        ("5416", b"a;b", "a.csv", 0),
    ],
)
def test_replaced_films_sounds_and_pdfs_have_thumbnails_of_their_own(
    sandbox: Caller, doc_id: str, content: bytes, filename: str, count: int
) -> None:
    old = sandbox.http.get(sandbox.doc(doc_id)["thumbs"]["thumb"][2]["url"]).content
    sandbox.wait(sandbox.replace(content, doc_id=doc_id, filename=filename))
    thumbs = sandbox.doc(doc_id).get("thumbs", {"thumb": []})["thumb"]
    assert len(thumbs) == count
    assert all(sandbox.http.get(thumb["url"]).content != old for thumb in thumbs)


def test_the_original_is_shown_to_its_owner_only(sandbox: Caller) -> None:
    assert "original" in sandbox.doc("5413")
    assert "original" not in sandbox.get("doc.get", token=None, doc_id="5413")["doc"]
    assert "original" not in sandbox.doc("7001")


def test_doc_get_adds_the_requested_extras(sandbox: Caller) -> None:
    plain = sandbox.doc("5412", extra="")
    assert {"md5", "tags", "notes", "geo"} & plain.keys() == set()
    full = sandbox.doc("5412", extra="tags,notes,geo,md5")
    assert [tag["tag"] for tag in full["tags"]["tag"]] == ["boat", "sea", "Lois"]
    assert full["geo"] == {"lat": "47.65", "lng": "-2.76", "loc_id": "0", "location": ""}
    assert [note["content"] for note in full["notes"]["note"]] == ["The red sail"]
    assert sandbox.doc("5413", extra="notes")["notes"] == {"total": "0"}
    assert "geo" not in sandbox.doc("5413", extra="geo")


def test_doc_get_medias_has_its_members_at_top_level(sandbox: Caller) -> None:
    reply = sandbox.get("doc.getMedias", doc_id="5412")
    assert list(reply) == ["thumbs", "original", "api"]
    assert list(sandbox.get("doc.getMedias", doc_id="5417")) == [
        "thumbs",
        "medias",
        "original",
        "api",
    ]
    assert sandbox.code(sandbox.get("doc.getMedias", doc_id="7002")) == "1"


def test_doc_get_list_pages_and_filters(sandbox: Caller) -> None:
    first = sandbox.get("doc.getList", per_page="3", thumbsize="240")["docs"]
    assert (first["total"], first["per_page"], first["page"], first["pages"]) == (
        "7",
        "3",
        "1",
        "3",
    )
    assert [doc["doc_id"] for doc in first["doc"]] == ["5412", "5413", "5414"]
    assert first["doc"][0]["thumb"]["label"] == "240"
    last = sandbox.get("doc.getList", per_page="3", page="3", thumbsize="240")["docs"]
    assert [(doc["doc_id"], doc["thumb"]["label"]) for doc in last["doc"]] == [("5418", "240")]
    audio = sandbox.get("doc.getList", media="audio", extra="md5,dates,count,medias,original,geo")[
        "docs"
    ]["doc"]
    assert [doc["doc_id"] for doc in audio] == ["5417"]
    assert {"md5", "dates", "count", "medias", "original"} <= audio[0].keys()
    assert sandbox.get("doc.getList", share="0")["docs"]["total"] == "1"


def test_doc_get_list_shows_a_visitor_public_documents_only(sandbox: Caller) -> None:
    assert sandbox.get("doc.getList", token=None, user_id="1234")["docs"]["total"] == "6"
    assert sandbox.get("doc.getList", user_id="lois")["docs"]["total"] == "1"
    assert sandbox.code(sandbox.get("doc.getList", token=None)) == "1"
    assert sandbox.code(sandbox.get("doc.getList", user_id="nobody")) == "1"


def test_doc_check_md5_finds_what_is_stored_and_visible(sandbox: Caller) -> None:
    boat = sandbox.doc("5412")["md5"]
    lois = sandbox.doc("7001")["md5"]
    docs = sandbox.get("doc.checkMD5", md5=f"{boat},{'0' * 32},{lois}")["docs"]
    assert (docs["count"], docs["found"]) == ("3", "2")
    assert docs["doc"] == [
        {"md5": boat, "found": "1", "doc_id": "5412"},
        {"md5": "0" * 32, "found": "0"},
        {"md5": lois, "found": "1", "doc_id": "7001"},
    ]
    sandbox.wait(sandbox.replace(jpeg()))
    assert sandbox.get("doc.checkMD5", md5=boat)["docs"]["found"] == "0"


def test_doc_check_md5_takes_20_sums(sandbox: Caller) -> None:
    sums = [f"{number:032x}" for number in range(21)]
    assert sandbox.get("doc.checkMD5", md5=",".join(sums[:20]))["docs"]["count"] == "20"
    assert sandbox.code(sandbox.get("doc.checkMD5", md5=",".join(sums))) == "2"
    assert sandbox.code(sandbox.get("doc.checkMD5")) == "1"


def test_doc_set_changes_texts_and_the_rest(sandbox: Caller) -> None:
    reply = sandbox.post("doc.set", doc_id="5412", title="", description="<b>new</b>")
    assert reply["doc"] == {
        "doc_id": "5412",
        "title": "",
        "share": "0",
        "description": "<b>new</b>",
    }
    assert list(
        sandbox.post("doc.set", doc_id="5412", share="4", license="9", lat="-999", lng="-999")
    ) == ["api"]
    doc = sandbox.doc("5412", extra="geo")
    assert (doc["visibility"]["ispublic"], doc["license"], "geo" in doc) == ("1", "9", False)
    assert int(doc["dates"]["modified_at"]) > int(doc["dates"]["posted_at"])


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"doc_id": "7001", "title": "mine"}, "1"),
        ({"doc_id": "5412"}, "2"),
        ({"doc_id": "5412", "share": "5"}, "3"),
        ({"doc_id": "5412", "license": "by"}, "3"),
        ({"doc_id": "5412", "lat": "91"}, "3"),
        ({"doc_id": "5412", "lng": "nan"}, "3"),
    ],
)
def test_doc_set_says_what_is_wrong(sandbox: Caller, params: dict[str, str], code: str) -> None:
    assert sandbox.code(sandbox.post("doc.set", **params)) == code


def test_doc_delete_takes_the_document_and_its_files_away(sandbox: Caller) -> None:
    sandbox.change(permissions={"doc": "delete"})
    doc_id = sandbox.wait(sandbox.send("upload.file", jpeg())["ticket"])["doc_id"]
    url = sandbox.doc(doc_id)["original"]["url"]
    assert list(sandbox.post("doc.delete", doc_id=doc_id)) == ["api"]
    assert sandbox.code(sandbox.get("doc.get", doc_id=doc_id)) == "1"
    assert sandbox.http.get(url).status_code == 404
    assert sandbox.code(sandbox.post("doc.delete", doc_id=doc_id)) == "1"
    assert sandbox.code(sandbox.post("doc.delete", doc_id="7001")) == "1"


def test_the_quota_is_the_documented_example(sandbox: Caller) -> None:
    upload = sandbox.get("account.getQuota")["quota"]["upload"]
    assert upload == {
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
    }


def test_an_upload_uses_the_quota_up(sandbox: Caller) -> None:
    new = jpeg()
    sandbox.replace(new)
    left = sandbox.get("account.getQuota")["quota"]["upload"]["left"]["bytes"]
    assert int(left) == 10475274240 - len(new)


def test_user_get_knows_id_alias_and_the_owner_of_the_token(sandbox: Caller) -> None:
    for user_id in ("1234", "superman"):
        assert (
            sandbox.get("user.get", token=None, user_id=user_id)["user"]["username"] == "Superman"
        )
    assert sandbox.get("user.get")["user"]["user_id"] == "1234"
    assert sandbox.get("user.get", user_id="5678")["user"]["count"]["docs"] == "1"
    assert sandbox.code(sandbox.get("user.get", user_id="nobody")) == "1"
    assert sandbox.code(sandbox.get("user.get", token=None)) == "1"


def test_test_echo_gives_back_the_parameters_but_no_credentials(sandbox: Caller) -> None:
    reply = sandbox.get("test.echo", echo="", other="ä+ &")
    assert reply.keys() == {"echo", "other", "lg", "api"}
    assert (reply["echo"], reply["other"]) == ("", "ä+ &")


def test_api_methods_get_does_not_know_an_unknown_method(sandbox: Caller) -> None:
    fields = {"api_key": signed("x")["api_key"], "lg": "en", "method": "no.such"}
    assert (
        sandbox.code(sandbox.http.get(sandbox.url("api.methods.get"), params=fields).json()) == "1"
    )


def test_the_newest_document_is_listed_first(sandbox: Caller) -> None:
    doc_id = sandbox.wait(sandbox.send("upload.file", jpeg())["ticket"])["doc_id"]
    assert sandbox.get("doc.getList", per_page="1")["docs"]["doc"][0]["doc_id"] == doc_id


def test_bytes_that_are_not_utf8_are_replaced(sandbox: Caller) -> None:
    fields = signed("test.echo", token=None)
    body = f"api_key={fields['api_key']}&lg=en&echo=".encode() + b"\xff\xfe"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (
        sandbox.http.post(sandbox.url("test.echo"), data=body, headers=form).json()["echo"]
        == "\ufffd\ufffd"
    )
