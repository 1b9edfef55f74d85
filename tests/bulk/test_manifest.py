"""What a manifest may look like; all of its errors are reported together, each with its place."""

from __future__ import annotations

import csv
import io
import json
import pickle
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from ipernity_provider.bulk.manifest import (
    Kind,
    ManifestError,
    ManifestLine,
    kind_of,
    read_list,
    read_text,
)
from ipernity_provider.replacement.errors import Refused

HEAD = "doc_id,file\n"


def csv_lines(text: str | bytes) -> list[ManifestLine]:
    return read_text(text if isinstance(text, bytes) else text.encode(), "csv", "boats.csv")


def errors(given: Any, kind: Kind | None = "csv") -> Sequence[str]:
    data = given.encode() if isinstance(given, str) else given
    with pytest.raises(ManifestError) as caught:
        read_text(data, kind, "boats") if kind else read_list(given)
    assert str(caught.value).endswith("\nNothing was sent.")
    return caught.value.errors


def pairs(lines: Sequence[ManifestLine]) -> list[tuple[str, str]]:
    return [(line.doc_id, line.file) for line in lines]


# -- CSV that is good ------------------------------------------------------------------------------


def test_a_manifest_has_a_header_and_other_columns_are_ignored() -> None:
    text = "title,file,doc_id,filename\nBoat,/data/boat.jpg,5412,boat.jpg\nTree,s3://b/tree.jpg,5413,\n"
    assert csv_lines(text) == [
        ManifestLine("5412", "/data/boat.jpg", "boat.jpg", "line 2"),
        ManifestLine("5413", "s3://b/tree.jpg", None, "line 3"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "doc_id;file\n5412;a, b.jpg\n",
        "title;doc_id;file\n;5412;a, b.jpg\n",
        'doc_id,file\n5412,"a, b.jpg"\n',
        'doc_id, file\n 5412 , "a, b.jpg"\n',
        '"doc_id";"file"\r\n"5412";"a, b.jpg"\r\n',
        "\n\n  \ndoc_id;file\n\n5412;a, b.jpg\n;\n\n",
        "doc_id;file;comment, if any\n5412;a, b.jpg;so, so\n",
        "doc_id;file\r5412;a, b.jpg\r",
        "\ufeffdoc_id;file\n5412;a, b.jpg",
        "doc_id;file\n5412;a, b.jpg;;\n",
        "doc_id\tfile\n5412\ta, b.jpg\n",
        'title, or none\tdoc_id\tfile\n;\t5412\t"a, b.jpg"\n',
        "sep=;\ndoc_id;file\n5412;a, b.jpg\n",
        "sep=\t\r\ndoc_id\tfile\r\n5412\ta, b.jpg\r\n",
        '\ufeff"sep=|"\ndoc_id|file\n5412|a, b.jpg\n',
    ],
)
def test_separators_quotes_line_ends_blank_lines_and_byte_order_mark(text: str) -> None:
    (line,) = csv_lines(text)
    assert (line.doc_id, line.file, line.filename) == ("5412", "a, b.jpg", None)


def test_places_are_physical_lines_also_behind_blank_lines_and_quoted_line_ends() -> None:
    text = (
        'doc_id,file,comment\r\n\r\n1,a.jpg,"one\r\ntwo\r\n\r\nthree"\r\n'
        '2,b.jpg,""\r\n\r\n3,"c\n.jpg",x\r\n4,d.jpg,\r\n'
    )
    lines = csv_lines(text)
    assert [line.where for line in lines] == ["line 3", "line 7", "line 9", "line 11"]
    assert lines[2].file == "c\n.jpg"


def test_a_line_that_names_the_separator_counts_as_a_line() -> None:
    text = "sep=;\ndoc_id;file\n1;a.jpg\n\nx;b.jpg\n"
    assert errors(text) == ["line 5: doc_id is 'x', which is not a document's number such as 5412"]
    (line,) = csv_lines("sep=;\ndoc_id;file\n1;a.jpg\n")
    assert line.where == "line 3"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_a_program_writes_is_read_as_it_was(delimiter: str) -> None:
    chance = random.Random(delimiter)
    letters = "ab é\N{SNOWMAN}\u2028\"',;|\t.\n#="
    files = [
        "".join(chance.choices(letters, k=chance.randint(1, 8))).strip() or "a" for _ in range(300)
    ]
    cells = list(enumerate(files, 1))
    out = io.StringIO(newline="")
    if delimiter == "|":
        out.write("sep=|\n")
    csv.writer(out, delimiter=delimiter).writerows([("doc_id", "file"), *cells])
    assert pairs(csv_lines(out.getvalue())) == [(str(doc_id), file) for doc_id, file in cells]


def test_names_keep_their_letters() -> None:
    assert pairs(csv_lines(HEAD + "1,Fähre \u2028 «Zoë».jpg\n")) == [
        ("1", "Fähre \u2028 «Zoë».jpg")
    ]


# -- CSV that is not -------------------------------------------------------------------------------


def test_all_mistakes_are_told_at_once_each_with_its_line() -> None:
    text = (
        "doc_id,file,filename\n"
        "1,a.jpg,\n"
        ",b.jpg,\n"
        "3,,c.jpg\n"
        "4\n"
        "boat,d.jpg,\n"
        "\N{ARABIC-INDIC DIGIT FIVE},d.jpg,\n"
        "1,a.jpg,other\n"
        "1,z.jpg,\n"
        "8,e,f,g.jpg\n"
        "-9,\n"
    )
    assert errors(text) == [
        "line 3: doc_id is missing",
        "line 4: file is missing",
        "line 5: file is missing",
        "line 6: doc_id is 'boat', which is not a document's number such as 5412",
        (
            "line 7: doc_id is '\N{ARABIC-INDIC DIGIT FIVE}', which is not a document's number "
            "such as 5412"
        ),
        "line 8: document 1 is listed twice, first at line 2",
        "line 9: document 1 is to get 'z.jpg', but at line 2 'a.jpg'",
        "line 10: 4 fields instead of 3: a field that holds the separator or quotes must be quoted",
        "line 11: doc_id is '-9', which is not a document's number such as 5412",
        "line 11: file is missing",
    ]


def test_the_sentence_names_the_manifest_and_shows_the_first_twenty() -> None:
    with pytest.raises(ManifestError) as caught:
        csv_lines(HEAD + "x,\n" * 16)
    head, *shown, more, last = str(caught.value).split("\n")
    assert head == "boats.csv has 32 errors:"
    assert shown == caught.value.errors[:20]
    assert len(caught.value.errors) == 32
    assert (more, last) == ("and 12 more", "Nothing was sent.")
    assert isinstance(caught.value, Refused)


def test_a_single_mistake_is_told_as_one() -> None:
    with pytest.raises(ManifestError) as caught:
        csv_lines(HEAD + "x,a.jpg\n")
    assert str(caught.value) == (
        "boats.csv has 1 error:\nline 2: doc_id is 'x', which is not a document's number such as "
        "5412\nNothing was sent."
    )


def test_the_error_keeps_all_of_itself_on_its_way_between_processes() -> None:
    with pytest.raises(ManifestError) as caught:
        csv_lines(HEAD + "x,\n")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.errors) == (str(caught.value), caught.value.errors)


@pytest.mark.parametrize(
    ("head", "line", "what"),
    [
        (
            "doc_id,path",
            1,
            "there is no column file; the header line was read as ['doc_id', 'path']",
        ),
        (
            "\n\ndocument;file",
            3,
            "there is no column doc_id; the header line was read as ['document', 'file']",
        ),
        (
            "Doc_ID,file",
            1,
            "there is no column doc_id; the header line was read as ['Doc_ID', 'file']",
        ),
        (
            "5412,boat.jpg",
            1,
            (
                "there is no column doc_id and no column file; the header line was read as "
                "['5412', 'boat.jpg']"
            ),
        ),
        (
            "doc_id|file",
            1,
            (
                "there is no column doc_id and no column file; the header line was read as "
                "['doc_id|file']"
            ),
        ),
        (
            "sep=|\nid|file",
            2,
            "there is no column doc_id; the header line was read as ['id', 'file']",
        ),
        ("", 1, "there is no column doc_id and no column file; there is no header line"),
        ("doc_id,file,doc_id,file", 1, "the header line names doc_id and file twice"),
    ],
)
def test_without_its_columns_no_row_is_judged(head: str, line: int, what: str) -> None:
    assert errors(f"{head}\nx,\n" if head else "") == [f"line {line}: {what}"]


def test_one_document_is_known_with_and_without_leading_zeros() -> None:
    assert errors(HEAD + "5412,a.jpg\n0005412,b.jpg\n") == [
        "line 3: document 5412 is to get 'b.jpg', but at line 2 'a.jpg'"
    ]


@pytest.mark.parametrize(
    ("end", "line"),
    [('3,"c.jpg\n4,d.jpg\n5,e.jpg\n', 4), ('3,"c.jpg\n4,d.jpg"x,"\n', 4), ('3,"c"d.jpg\n', 4)],
)
def test_a_quote_that_is_not_closed_swallows_no_line(end: str, line: int) -> None:
    first, second = errors(f"{HEAD}1,a.jpg\nx,b.jpg\n{end}")
    assert first.startswith("line 3: doc_id is 'x'")
    assert second.startswith(f"line {line}: a quoted field does not end as it should (")
    assert second.endswith("what follows was not read")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_bad_encoding_is_told_with_its_line_and_the_other_mistakes(end: str) -> None:
    text = end.join(
        ["doc_id,file,filename", "1,é.jpg", "2,b.jpg", "x,c.jpg", "3,ok.jpg", ""]
    ).encode() + "4,\xe9.jpg".encode("latin-1")
    assert errors(text) == [
        "line 6: byte 0xe9 is not UTF-8: save the manifest in that encoding",
        "line 4: doc_id is 'x', which is not a document's number such as 5412",
    ]


def test_a_byte_order_mark_does_not_move_the_lines() -> None:
    assert errors("\ufeffdoc_id,file\n1,".encode() + b"\xff\n") == [
        "line 2: byte 0xff is not UTF-8: save the manifest in that encoding"
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (HEAD, "csv"),
        ("doc_id;file\n\n;\n", "csv"),
        ("[]", "json"),
        ("", "jsonl"),
        ("\n \n", "jsonl"),
    ],
)
def test_a_manifest_without_rows_is_a_mistake(text: str, kind: Kind) -> None:
    assert errors(text, kind) == ["it lists no document"]


def test_a_field_is_shown_in_brief() -> None:
    (error,) = errors(HEAD + "x" * 100_000 + ",a.jpg\n")
    assert len(error) < 200
    (error,) = errors([["x"] * 100_000], None)
    assert len(error) < 200


# -- JSON ------------------------------------------------------------------------------------------


def test_a_json_array_holds_objects_with_numbers_or_text_or_pairs() -> None:
    rows = [
        {"doc_id": 5412, "file": "a.jpg", "title": ["ignored"]},
        {"doc_id": " 5413 ", "file": " b.jpg ", "filename": "c.jpg"},
        {"doc_id": 5414, "file": "d.jpg", "filename": None},
        [5415, "e.jpg"],
    ]
    expected = [
        ManifestLine("5412", "a.jpg", None, "item 1"),
        ManifestLine("5413", "b.jpg", "c.jpg", "item 2"),
        ManifestLine("5414", "d.jpg", None, "item 3"),
        ManifestLine("5415", "e.jpg", None, "item 4"),
    ]
    assert read_text(json.dumps(rows, indent=2).encode(), "json", "boats.json") == expected
    assert read_text(b"\xef\xbb\xbf" + json.dumps(rows).encode(), "json", "boats.json") == expected
    assert read_list(rows) == expected


def test_json_lines_are_counted_with_the_blank_ones() -> None:
    text = (
        '\ufeff{"doc_id": 1, "file": "a\u2028.jpg"}\r\n\r\n  \r\n{"doc_id": "2", "file": "é.jpg"}'
    )
    assert read_text(text.encode(), "jsonl", "boats.jsonl") == [
        ManifestLine("1", "a\u2028.jpg", None, "line 1"),
        ManifestLine("2", "é.jpg", None, "line 4"),
    ]


WRONG_ITEMS: list[Any] = [
    {"doc_id": 1, "file": "a.jpg"},
    "5412",
    None,
    7,
    ["1", "b.jpg", "c.jpg"],
    {"file": "d.jpg"},
    {"doc_id": None, "file": ""},
    {"doc_id": True, "file": "e.jpg"},
    {"doc_id": 5412.5, "file": ["f.jpg"]},
    {"doc_id": -3, "file": "g.jpg", "filename": 7.5},
    {"doc_id": 1, "file": "a.jpg"},
]
WRONG_SENTENCES = [
    "2: '5412' is neither an object with doc_id and file nor a pair",
    "3: None is neither an object with doc_id and file nor a pair",
    "4: 7 is neither an object with doc_id and file nor a pair",
    "5: ['1', 'b.jpg', 'c.jpg'] is neither an object with doc_id and file nor a pair",
    "6: doc_id is missing",
    "7: doc_id is missing",
    "7: file is missing",
    "8: doc_id is True, which is not a document's number such as 5412",
    "9: doc_id is 5412.5, which is not a document's number such as 5412",
    "9: file is ['f.jpg'], which is not text",
    "10: doc_id is -3, which is not a document's number such as 5412",
    "10: filename is 7.5, which is not text",
]


def test_mistakes_in_items_are_told_all_at_once() -> None:
    expected = [f"item {what}" for what in WRONG_SENTENCES]
    expected += ["item 11: document 1 is listed twice, first at item 1"]
    assert errors(WRONG_ITEMS, None) == expected
    assert errors(json.dumps(WRONG_ITEMS), "json") == expected


def test_mistakes_in_json_lines_are_told_all_at_once() -> None:
    lines = [json.dumps(item).encode() for item in WRONG_ITEMS]
    lines[2:2] = [b'{"doc_id": 2, "file": "\xe9"}', b'{"doc_id": 2, "file" "a"}', b""]
    expected = [
        "line 2: '5412' is neither an object with doc_id and file nor a pair",
        "line 3: byte 0xe9 is not UTF-8: save the manifest in that encoding",
        "line 4, column 22: this is not JSON: Expecting ':' delimiter",
    ]
    found = errors(b"\n".join(lines), "jsonl")
    assert found[:3] == expected
    assert found[3].startswith("line 6: None is neither")
    assert found[-1] == "line 14: document 1 is listed twice, first at line 1"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[\n {"doc_id": 1,\n  "file": a}\n]',
         "line 3, column 11: this is not JSON: Expecting value"),
        ("", "line 1, column 1: this is not JSON: Expecting value"),
        (b'[\n{"doc_id": 1,\n"file": "\xe9"}]',
         "line 3: byte 0xe9 is not UTF-8: save the manifest in that encoding"),
        ('{"doc_id": 1, "file": "a"}',
         "{'doc_id': 1, 'file': 'a'} is not a list: give a list of objects with doc_id and file"),
        ('"a.jpg"', "'a.jpg' is not a list: give a list of objects with doc_id and file"),
        ("[" * 200_000,
         "from line 1: a number is too long to be read, or brackets are nested too deep"),
        (f"[{'1' * 5000}]",
         "from line 1: a number is too long to be read, or brackets are nested too deep"),
    ],
)  # fmt: skip
def test_what_is_no_json_or_no_list_is_told_with_its_place(
    text: str | bytes, sentence: str
) -> None:
    assert errors(text, "json") == [sentence]


@pytest.mark.parametrize(
    "given", [None, "[{'doc_id': 1}]", b"", {"doc_id": 1, "file": "a"}, 7, {1, 2}]
)
def test_what_is_no_list_is_told(given: Any) -> None:
    (error,) = errors(given, None)
    assert error.endswith("is not a list: give a list of objects with doc_id and file")


def test_the_list_of_a_task_may_hold_pairs_and_paths() -> None:
    given = [
        ("5412", Path("/data/a.jpg")),
        ["5413", ObjectStoragePath("file:///data/b.jpg")],
        {"doc_id": 5414, "file": "c.jpg"},
    ]
    assert pairs(read_list(given)) == [
        ("5412", "/data/a.jpg"),
        ("5413", "file:///data/b.jpg"),
        ("5414", "c.jpg"),
    ]


# -- names and size --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("boats.csv", "csv"),
        ("/data/2026.11/Boats.CSV", "csv"),
        ("s3://conn@bucket/boats.json", "json"),
        ("boats.jsonl", "jsonl"),
        ("boats.ndjson", "jsonl"),
    ],
)
def test_the_ending_tells_the_kind(name: str, kind: Kind) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize("name", ["boats.xlsx", "boats", "boats.csv.gz", "boats.csv/boats", ""])
def test_another_ending_is_refused_and_the_known_ones_are_named(name: str) -> None:
    with pytest.raises(
        Refused, match=r"one of \.csv, \.json, \.jsonl, \.ndjson\. Nothing was sent\.$"
    ):
        kind_of(name)


def test_a_csv_that_is_one_long_line_is_no_table() -> None:
    """JSON under the wrong name, with more in a field than Python's reader takes."""
    (wrong,) = errors(json.dumps([{"doc_id": "5412", "file": "/data/boat.jpg"}] * 5_000))
    assert wrong.startswith("line 1: a quoted field does not end as it should (")
    (wrong,) = errors("x," * 5_000)
    assert wrong.startswith(
        "line 1: there is no column doc_id and no column file; the header line was read as ['x',"
    )
    assert len(wrong) < 200
    assert errors("x" * 200_000)[0].startswith(
        "line 1: a field is far too long; this may not be a CSV file ("
    )


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_twenty_thousand_rows_are_read_in_no_time(kind: Kind) -> None:
    rows = [{"doc_id": number, "file": f"/data/boats/{number}.jpg"} for number in range(1, 20_001)]
    texts = {
        "csv": HEAD + "".join(f"{row['doc_id']},{row['file']}\r\n" for row in rows),
        "json": json.dumps(rows),
        "jsonl": "\n".join(map(json.dumps, rows)),
    }
    started = time.process_time()
    lines = read_text(texts[kind].encode(), kind, "boats")
    assert time.process_time() - started < 1.0
    assert pairs(lines) == [(str(row["doc_id"]), row["file"]) for row in rows]


def test_twenty_thousand_mistakes_are_told_in_no_time() -> None:
    started = time.process_time()
    assert len(errors(HEAD + "1,a.jpg\n" * 20_001)) == 20_000
    assert time.process_time() - started < 1.0
