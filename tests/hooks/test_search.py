from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.parameters import ParameterError
from ipernity_provider.hooks.search import read_album_id, read_filters, read_time
from tests.conftest import Connect, Service

DAY = 1706659200  # 2024-01-31 in UTC


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("2024-01-31", DAY),
        ("2024-01-31T12:00", DAY + 43200),
        (" 2024-01-31 12:00:00+02:00 ", DAY + 36000),
        (date(2024, 1, 31), DAY),
        (datetime(2024, 1, 31, tzinfo=UTC), DAY),
        (datetime(2024, 1, 31), DAY),
        (datetime(2024, 1, 31, 2, tzinfo=timezone(timedelta(hours=2))), DAY),
        (DAY, DAY),
    ],
)
def test_a_time_is_given_in_many_ways(given: Any, seconds: int) -> None:
    assert read_time(given) == seconds


@pytest.mark.parametrize("given", ["yesterday", "", "31.1.2024", -5, True, 1.5, None, "1900-01-01"])
def test_what_is_not_a_time_is_named(given: Any) -> None:
    with pytest.raises(ParameterError, match="since is"):
        read_time(given)


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (77, "77"),
        (" 077 ", "77"),
        ("https://www.ipernity.com/doc/1234/album/77", "77"),
        ("https://www.ipernity.com/doc/1234/album/77?view=list", "77"),
    ],
)
def test_an_album_is_a_number_or_a_page(given: Any, number: str) -> None:
    assert read_album_id(given) == number


@pytest.mark.parametrize(
    "given", ["boats", "", 0, True, "https://www.ipernity.com/doc/1234/77", "1" * 21]
)
def test_what_is_not_an_album_is_named(given: Any) -> None:
    with pytest.raises(ParameterError, match="album is"):
        read_album_id(given)


@pytest.mark.parametrize(("name", "value"), [("media", "pictures"), ("text", " "), ("text", 5)])
def test_another_filter_that_is_not_valid_is_named(name: str, value: Any) -> None:
    given = {"album": None, "text": None, "since": None, "media": None, name: value}
    with pytest.raises(ParameterError, match=f"{name} is"):
        read_filters(**given)


def test_documents_have_an_owner_and_a_page(service: Service, connect: Connect) -> None:
    hook = IpernityHook(connect())
    found = {document.doc_id: document for document in hook.list_documents()}
    assert list(found) == [str(number) for number in range(5412, 5419)]
    boat = found["5412"]
    assert (boat.title, boat.filename, boat.owner_id) == ("A boat", "boat.jpg", "1234")
    assert boat.link == f"{service.url}/doc/1234/5412"
    with service.client() as client:
        shown = client.get_document("5412")
    assert (boat.md5, boat.bytes, boat.link) == (shown.md5, shown.bytes, shown.link)


def test_only_one_class_of_documents(connect: Connect) -> None:
    found = IpernityHook(connect()).list_documents(media="audio")
    assert [document.doc_id for document in found] == ["5417"]


def test_only_what_a_text_an_album_or_a_time_finds(service: Service, connect: Connect) -> None:
    hook = IpernityHook(connect())

    def found(**filters: Any) -> list[str]:
        return [document.doc_id for document in hook.list_documents(**filters)]

    album = hook.call("album.create", title="Ships")["album"]["album_id"]
    hook.call("album.docs.add", album_id=album, doc_id="5415,5412")
    assert found(text="mountains") == ["5413"]
    assert sorted(found(album=album)) == ["5412", "5415"]
    assert found(album=f"{service.url}/doc/1234/album/{album}", text="harbour") == ["5415"]
    assert found(since=1699990000 - 3600) == ["5412", "5413"]
    assert found(since="2100-01-01") == []
    assert service.calls()["doc.search"] == 5


@pytest.mark.parametrize(
    ("host", "website"),
    [
        (None, "https://www.ipernity.com"),
        ("https://api.ipernity.com/api", "https://www.ipernity.com"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://127.0.0.1:8765/api/", "http://127.0.0.1:8765"),
    ],
)
def test_the_website_is_beside_the_api(
    monkeypatch: pytest.MonkeyPatch, host: str | None, website: str
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_TRY",
        '{"conn_type": "ipernity", "host": "%s", "password": "s", "extra": {"api_key": "k"}}'
        % (host or ""),
    )
    assert IpernityHook("try").settings.website_url == website
