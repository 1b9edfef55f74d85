"""Messages as lines of a log."""

from __future__ import annotations

import pytest

from ipernity_provider.text import lines_of, printable

PAGES = "https://www.ipernity.com/doc/1234/10001", "https://www.ipernity.com/doc/1234/5412"


def test_each_sentence_is_a_line() -> None:
    assert lines_of("boat.jpg is empty. Nothing was sent. Check the file.") == [
        "boat.jpg is empty.",
        "Nothing was sent.",
        "Check the file.",
    ]


def test_a_long_sentence_goes_on_behind_a_comma_and_its_addresses_stay_whole() -> None:
    new, old = PAGES
    text = (
        f"The service made a new document, 10001 ({new}), instead of replacing the file of "
        f"document 5412 ({old}). "
        'Nothing was deleted. Decide which of the two to keep; on_new_document="keep" accepts new '
        "documents, force=True sends again."
    )
    assert lines_of(text) == [
        f"The service made a new document, 10001 ({new}),",
        f"  instead of replacing the file of document 5412 ({old}).",
        "Nothing was deleted.",
        'Decide which of the two to keep; on_new_document="keep" accepts new documents,',
        "  force=True sends again.",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "doc_id is 'Abc. Def': give a document's number, e.g. 5412.",
        'The title "One. Two? Three!" is kept.',
        "s3://media/boat.jpg?... does not exist.",
        "2.5 of 3.0 MiB were sent to www.ipernity.com.",
        "The members' files and the account's volume are 'Two. Words'.",
        "Formats, e.g. JPEG or i.e. PNG.",
    ],
)
def test_not_every_full_stop_ends_a_sentence(sentence: str) -> None:
    assert lines_of(f"{sentence} Nothing was sent.") == [sentence, "Nothing was sent."]


def test_a_quotation_with_spaces_is_not_divided() -> None:
    path = "'/data/our pictures/a boat at night.jpg'"
    lines = lines_of(
        f"The picture of the old harbour and of all its boats from the year before {path} is gone."
    )
    assert any(path in line for line in lines)
    assert len(lines) == 2


def test_lines_that_are_there_are_kept_and_only_continued() -> None:
    entry = (
        "line 2, document 5412: it is empty. Nothing was sent. " + "Words that make it long " * 4
    )
    lines = lines_of(f"2 of 3 cannot be replaced.\n{entry}\nand 5 more")
    assert (lines[0], lines[-1]) == ("2 of 3 cannot be replaced.", "and 5 more")
    assert lines[1].startswith("line 2, document 5412: it is empty. Nothing was sent.")
    assert [line[:2] for line in lines[2:-1]] == ["  "]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 230 + " does not exist. Nothing was sent.",
        '"' + "long quotation, " * 20 + '" is a title.',
        "a, " * 200,
        "word " * 100,
        "Short. " * 10 + "y" * 99 + "," + " z" * 60,
    ],
)
def test_no_line_is_longer_than_the_limit_and_nothing_is_lost(text: str) -> None:
    lines = lines_of(text)
    assert max(map(len, lines)) <= 100
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert max(map(len, lines_of(text, 40))) <= 40


@pytest.mark.parametrize("nothing", ["", " ", "\n"])
def test_of_nothing_there_is_no_line(nothing: str) -> None:
    assert lines_of(nothing) == []


def test_what_cannot_be_printed_is_escaped() -> None:
    text = printable("a\x1b[31m\u202eb\udc80\x00c\td\r")
    assert text == r"a\x1b[31m\u202eb\udc80\x00c\td\r"
    assert printable("Möwe, 海, 🚤") == "Möwe, 海, 🚤"
    assert lines_of("boat\x1b\x07.jpg is empty.") == [r"boat\x1b\x07.jpg is empty."]
