"""How people and programs write a document's number."""

from __future__ import annotations

import doctest
from fractions import Fraction
from typing import Any

import pytest

from ipernity_provider.api import models
from ipernity_provider.api.models import read_doc_id

SANDBOX = "http://127.0.0.1:8765"


def refusal(given: Any, base_url: str | None = None) -> str:
    with pytest.raises(ValueError, match=r"^is ") as caught:
        read_doc_id(given, base_url)
    return str(caught.value)


def test_the_examples_of_the_module() -> None:
    ran = doctest.testmod(models)
    assert (ran.attempted, ran.failed) == (2, 0)


@pytest.mark.parametrize(
    "given",
    [
        "5412",
        " 5412\n",
        "\N{NO-BREAK SPACE}5412",
        "0005412",
        "5412.0",
        5412,
        5412.0,
        "https://www.ipernity.com/doc/1234/5412",
        "https://www.ipernity.com/doc/1234/5412/",
        "http://ipernity.com/doc/1234/5412",
        "HTTPS://WWW.IPERNITY.COM/doc/1234/5412",
        "www.ipernity.com/doc/super-man/5412",
        "https://www.ipernity.com./doc/1234/5412",
        "https://www.ipernity.com:443/doc/1234/5412",
        "https://www.ipernity.com/doc/1234/5412?lg=fr&a=/doc/1/2",
        "https://www.ipernity.com/doc/1234/5412#comment99",
        "https://www.ipernity.com/doc/1234/5412/in/album/99",
        "https://www.ipernity.com/doc/1234/5412/in/group/7/@/page:2",
        "https://www.ipernity.com//doc/1234/0005412",
        "https://www.ipernity.com/doc/album/5412",
        "  https://www.ipernity.com/doc/1234/5412\n",
    ],
)
def test_one_document_has_many_spellings(given: Any) -> None:
    assert read_doc_id(given) == "5412"


def test_a_number_of_twenty_digits_is_the_longest() -> None:
    assert read_doc_id("000" + "9" * 20) == "9" * 20 == read_doc_id(10**20 - 1)
    assert read_doc_id(2.0**53 - 1) == "9007199254740991"


@pytest.mark.parametrize(
    "given",
    [
        True,
        -5412,
        -5412.0,
        0,
        0.0,
        "0",
        "000",
        "-5412",
        "+5412",
        5412.5,
        "5412.5",
        "5412.",
        "5.000",  # 5000 in many countries
        "5412.00",
        "1e4",
        "5_412",
        "5,412",
        "54 12",
        "54\n12",
        "boat",
        float("nan"),
        float("inf"),
        1e15 * 10,  # digits may be lost
        "9" * 21,
        "9" * 5000,
        10**20,
        pytest.param(10**5000, id="long"),
        pytest.param(-(10**5000), id="long below 0"),
        Fraction(5412, 7),
        ["5412"],
        {"doc_id": "5412"},
        b"5412",
        "\N{ARABIC-INDIC DIGIT FIVE}",
        "\N{FULLWIDTH DIGIT FIVE}412",
        "\N{SUPERSCRIPT TWO}",
    ],
)
def test_what_is_not_a_documents_number(given: Any) -> None:
    sentence = refusal(given)
    assert sentence.endswith(", which is not a document's number such as 5412")
    assert len(sentence) < 160
    assert sentence.isprintable()


@pytest.mark.parametrize("given", [None, "", " \n"])
def test_nothing_at_all(given: Any) -> None:
    assert refusal(given) == "is missing"


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/doc/1234/5412",
        "https://www.ipernity.com.example.org/doc/1234/5412",
        "https://example.org/www.ipernity.com/doc/1234/5412",
        "https://fake-ipernity.com/doc/1234/5412",
        "https://www.ipernity.com@example.org/doc/1234/5412",
        r"https://www.ipernity.com\@example.org/doc/1234/5412",
        "ftp://www.ipernity.com/doc/1234/5412",
        "/doc/1234/5412",
        "1234/5412",
        "http://127.0.0.1:8765/doc/1234/5412",
    ],
)
def test_a_page_of_another_site(address: str) -> None:
    assert refusal(address).endswith(", an address of another site than ipernity.com")


@pytest.mark.parametrize(
    "address",
    [
        "https://www.ipernity.com/doc/1234/album/5412",
        "https://www.ipernity.com/doc/1234/home/photo",
        "https://www.ipernity.com/doc/1234",
        "https://www.ipernity.com/doc/1234/uploaded?5412,5413",
        "https://www.ipernity.com/doc/1234/5412.0",
        "https://www.ipernity.com/doc/1234/0",
        "https://www.ipernity.com/doc/1234/%35412",
        f"https://www.ipernity.com/doc/1234/{'9' * 21}",
        "https://www.ipernity.com/group/1234/5412",
        "https://cdn.ipernity.com/54/12/5412.abcdef.500.jpg",
        "https://www.ipernity.com/",
    ],
)
def test_a_page_that_is_not_a_documents(address: str) -> None:
    assert refusal(address).endswith(
        ", which is not a document's page: that is /doc/<user>/<number>"
    )


@pytest.mark.parametrize(
    "address",
    [
        "https://www.ipernity.com/doc/1234/54\n12",
        "https://www.ipernity.com/doc/1234/54 12",
        "https://[::1/doc/1234/5412",
        "https://www.ipernity.com:boat/doc/1234/5412",
    ],
)
def test_what_only_looks_like_an_address(address: str) -> None:
    assert refusal(address).endswith(", which is not an address")


def test_a_sentence_shows_no_query() -> None:
    assert "s3cret" not in refusal("https://a.example/doc?token=s3cret")


@pytest.mark.parametrize(
    "page", [f"{SANDBOX}/doc/superman/5412", "http://localhost:8765/doc/1234/5412/in/album/9"]
)
def test_pages_at_the_connections_own_address(page: str) -> None:
    assert read_doc_id(page, SANDBOX) == "5412"
    assert read_doc_id("https://www.ipernity.com/doc/1234/5412", SANDBOX) == "5412"


@pytest.mark.parametrize(
    "page", ["http://127.0.0.1:8766/doc/1234/5412", "http://sandbox:8765/doc/1234/5412"]
)
def test_pages_at_another_port_or_host_than_the_connections(page: str) -> None:
    assert refusal(page, SANDBOX).endswith(", an address of another site than ipernity.com")
