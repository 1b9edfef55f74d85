"""All pages of a list of documents: each document once, whatever the service counts."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import ReplyInvalid
from ipernity_provider.api.listing import iterate_documents
from tests.conftest import API_KEY, API_SECRET, TOKEN
from tests.paged_service import Change, PagedService, paged_service

pytestmark = pytest.mark.socket


def client(service: PagedService) -> IpernityClient:
    return IpernityClient(API_KEY, API_SECRET, token=TOKEN, base_url=service.url, attempts=1)


def listed(service: PagedService, **options: Any) -> list[int]:
    with client(service) as calls:
        found = iterate_documents(calls, "1234", pause=0, **options)
        return [int(document.doc_id) for document in found]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_each_document_is_listed_once_and_no_page_too_many(count: int) -> None:
    seen: list[tuple[int, int | None]] = []
    with paged_service(count) as service:
        found = listed(service, on_page=lambda *numbers: seen.append(numbers))
    assert found == list(range(count, 0, -1))
    assert len(service.asked) == max(1, -(-count // 100))
    assert seen[-1] == (count, count)


def without(*names: str) -> Change:
    return lambda _, docs: {name: value for name, value in docs.items() if name not in names}


@pytest.mark.parametrize(
    "change",
    [
        without("pages"),
        without("pages", "per_page"),
        without("pages", "total"),
        lambda _, docs: {**docs, "total": "many", "pages": "some"},
        # An empty list has been seen to report page 1 of 0 pages.
        lambda params, docs: docs if docs["doc"] else {"page": "1", "pages": "0", "total": "0"},
        # A page without documents has no member doc.
        lambda params, docs: docs if docs["doc"] else without("doc")(params, docs),
    ],
)
@pytest.mark.parametrize("count", [0, 100, 130])
def test_what_the_service_leaves_out_ends_no_list_early(change: Change, count: int) -> None:
    with paged_service(count, change) as service:
        assert listed(service) == list(range(count, 0, -1))


def test_a_document_that_is_posted_meanwhile_makes_no_double() -> None:
    def post(params: dict[str, str], docs: dict[str, Any]) -> dict[str, Any]:
        service.count += 1
        return docs

    with paged_service(200, post) as service:
        found = listed(service)
    assert found == list(range(200, 0, -1))


def test_a_service_that_sends_the_same_page_again_ends_the_list_with_an_error() -> None:
    def repeat(_: dict[str, str], docs: dict[str, Any]) -> dict[str, Any]:
        return {**docs, "doc": [service.document(number) for number in range(500, 400, -1)]}

    with paged_service(500, repeat) as service, client(service) as calls:
        documents = iterate_documents(calls, "1234", pause=0)
        assert len(list(itertools.islice(documents, 100))) == 100
        with pytest.raises(ReplyInvalid, match="sent page 1 of the documents again"):
            next(documents)
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    ("filters", "method", "sent"),
    [
        ({}, "doc.getList", {}),
        ({"media": "photo"}, "doc.getList", {"media": "photo"}),
        ({"text": "a boat"}, "doc.search", {"text": "a boat"}),
        (
            {"album_id": "7", "posted_since": 1700000000, "media": "video"},
            "doc.search",
            {"album_id": "7", "posted_min": "1700000000", "media": "video"},
        ),
    ],
)
def test_a_filter_is_sent_to_the_method_that_has_it(
    filters: dict[str, Any], method: str, sent: dict[str, str]
) -> None:
    with paged_service(150) as service:
        listed(service, **filters)
    for number, (called, params) in enumerate(service.asked, 1):
        ours = {
            name: value
            for name, value in params.items()
            if name not in {"api_key", "api_sig", "auth_token", "lg"}
        }
        assert (called, ours) == (
            method,
            {
                "user_id": "1234",
                "extra": "dates,original,md5",
                "per_page": "100",
                "page": str(number),
                **sent,
            },
        )


def test_the_pace_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("ipernity_provider.api.listing.time.sleep", slept.append)
    with paged_service(350) as service, client(service) as calls:
        assert len(list(iterate_documents(calls, "1234", pause=60))) == 350
    assert len(slept) == 3  # between four pages
    assert all(50 < seconds <= 60 for seconds in slept)


def test_two_thousand_documents_take_no_more_memory_than_three_hundred() -> None:
    def peak(count: int) -> int:
        with paged_service(count) as service, client(service) as calls:
            tracemalloc.start()
            try:
                documents = iterate_documents(calls, "1234", pause=0)
                assert sum(1 for _ in documents) == count
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    peak(300)  # what is loaded once
    few, many = peak(300), peak(2000)
    assert many < few + 200_000, (few, many)
