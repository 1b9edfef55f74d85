from __future__ import annotations

import pytest

from tests.sandbox.caller import Caller

MANY_TAGS = ",".join(map(str, range(21)))


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, ["5412", "5413", "5414", "5415", "5416", "5417", "5418", "7001"]),
        ({"text": "blue MOUNTAINS"}, ["5413"]),
        ({"text": "blue boat"}, []),
        ({"text": "evening"}, ["5413"]),
        ({"tags": "Boat,sea"}, ["5412"]),
        ({"tags": "boat,spring"}, []),
        ({"user_id": "lois"}, ["7001"]),
        ({"media": "video"}, ["5418"]),
        ({"share": "0"}, ["5412"]),
        ({"album_id": "202"}, ["5412", "5413", "5414"]),
        ({"album_id": "999"}, []),
        ({"group_id": "401"}, ["5412", "7001"]),
        ({"album_id": "202", "group_id": "401"}, ["5412"]),
        ({"license": "255"}, []),
        ({"license": "0", "text": "boat"}, ["5412"]),
        ({"posted_min": "1699986400"}, ["5412", "5413"]),
        ({"posted_max": "1699986400", "posted_min": "1699986400"}, ["5413"]),
        ({"created_min": "2023-11-14 10:00:01"}, []),
        ({"created_max": "2023-11-14 10:00:00", "text": "boat"}, ["5412"]),
    ],
)
def test_a_search_finds_what_fits_everything(
    sandbox: Caller, params: dict[str, str], found: list[str]
) -> None:
    docs = sandbox.get("doc.search", **params)["docs"]
    assert [doc["doc_id"] for doc in docs.get("doc", [])] == found
    assert docs["total"] == str(len(found))


def test_a_search_has_pages_extras_and_thumbnails(sandbox: Caller) -> None:
    params = {"per_page": "2", "page": "2", "extra": "md5,geo,dates", "thumbsize": "240"}
    docs = sandbox.get("doc.search", **params)["docs"]
    assert (docs["page"], docs["pages"]) == ("2", "4")
    assert docs["doc"][0]["thumb"]["label"] == "240"
    assert "md5" in docs["doc"][0]


def test_a_visitor_finds_what_is_public(sandbox: Caller) -> None:
    docs = sandbox.get("doc.search", token=None, album_id="201")["docs"]["doc"]
    assert [doc["doc_id"] for doc in docs] == ["5415"]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"user_id": "nobody"}, "1"),
        ({"tags": MANY_TAGS}, "900"),
        ({"license": "2"}, "900"),
        ({"posted_min": "yesterday"}, "900"),
        ({"created_min": "2023"}, "900"),
        ({"media": "film"}, "900"),
        ({"share": "5"}, "900"),
        ({"extra": "comments"}, "900"),
        ({"thumbsize": "huge"}, "900"),
    ],
)
def test_a_value_that_is_not_documented_is_refused(
    sandbox: Caller, params: dict[str, str], code: str
) -> None:
    assert sandbox.code(sandbox.get("doc.search", **params)) == code


def test_the_popular_documents_are_the_public_ones_of_everybody(sandbox: Caller) -> None:
    docs = sandbox.get("explore.docs.getPopular")["docs"]
    found = [doc["doc_id"] for doc in docs["doc"]]
    assert found == ["5413", "5414", "5415", "5416", "5417", "5418", "7001"]
    assert len(sandbox.get("explore.docs.getPopular", per_page="3")["docs"]["doc"]) == 3
