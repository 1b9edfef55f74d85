"""Which file belongs to which document: pairs only where nothing else fits as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipernity_provider.api.models import Document
from ipernity_provider.bulk.matching import Evidence, Matching, compare, match, needs_checksum
from ipernity_provider.files.folder import LocalFile

NOON, ONE = "2024-05-01 12:00:00", "2024-05-01 13:00:00"
SUM, OTHER_SUM = "a" * 32, "b" * 32


def document(doc_id: str, filename: str | None = None, **values: Any) -> Document:
    fields = {
        "media": "photo",
        "title": "A boat",
        "owner_id": "1234",
        "link": None,
        "md5": None,
        "bytes": None,
        "posted_at": 0,
        "replaced_at": 0,
        "asked_at": None,
    }
    return Document(doc_id=doc_id, filename=filename, **{**fields, **values})


def file(name: str, **values: Any) -> LocalFile:
    return LocalFile(Path("/photos", name), **{"size": 7, "media": "photo", **values})


def pairs_of(found: Matching) -> dict[str, tuple[str, str]]:
    return {pair.document.doc_id: (pair.file.name, pair.reason) for pair in found.pairs}


@pytest.mark.parametrize(
    ("one", "other", "evidence"),
    [
        (document("1", "a.jpg", md5=SUM), file("b.jpg", md5=SUM), Evidence.MD5),
        (document("1", "a.jpg", md5=SUM), file("b.jpg", md5=OTHER_SUM), None),
        (document("1", "A.JPG"), file("a.jpg"), Evidence.FILENAME),
        (document("1", "Kérity.jpg"), file("Ke\u0301rity.jpg"), Evidence.FILENAME),
        (document("1", "a.jpg", created=NOON), file("a.jpg"), Evidence.FILENAME),
        (
            document("1", "a.jpg", created=NOON),
            file("a.jpg", captured=NOON),
            Evidence.FILENAME_AND_CAPTURE_TIME,
        ),
        (document("1", "a.jpg", created=NOON), file("a.jpg", captured=ONE), None),
        (document("1", "a.jpg", created=NOON), file("b.jpg", captured=NOON), Evidence.CAPTURE_TIME),
        (document("1", created=NOON), file("b.jpg", captured=NOON), Evidence.CAPTURE_TIME),
        (document("1", "a.jpg"), file("b.jpg"), None),
        (document("1", None), file("b.jpg"), None),
        (document("1", "a.mp4", media="video"), file("a.mp4", media="photo"), None),
        (document("1", "a.dng"), file("a.dng", media=None), Evidence.FILENAME),
    ],
)
def test_what_a_document_and_a_file_have_in_common(
    one: Document, other: LocalFile, evidence: Evidence | None
) -> None:
    assert compare(one, other) is evidence


def test_each_pair_has_its_reason() -> None:
    documents = [
        document("1", "boat.jpg"),
        document("2", "same.jpg", md5=SUM),
        document("3", "IMG_1.jpg", created=NOON),
        document("4", "IMG_1.jpg", created=ONE),
        document("5", "renamed.jpg", created="2020-01-01 00:00:00"),
        document("6", "alone.jpg"),
    ]
    files = [
        file("boat.jpg"),
        file("moved.jpg", md5=SUM),
        file("img_1.jpg", captured=ONE),
        file("best.jpg", captured="2020-01-01 00:00:00"),
        file("new.jpg"),
    ]
    found = match(documents, files)
    assert pairs_of(found) == {
        "1": ("boat.jpg", "same file name"),
        "2": ("moved.jpg", "same md5: unchanged"),
        "4": ("img_1.jpg", "same file name and capture time"),
        "5": ("best.jpg", "same capture time"),
    }
    assert [(left.item, left.reason, left.ambiguous) for left in found.documents] == [
        (
            documents[2],
            "/photos/img_1.jpg has the same file name, but another capture time",
            True,
        ),
        (documents[5], "no file matches", False),
    ]
    assert [(left.item, left.reason, left.ambiguous) for left in found.files] == [
        (files[4], "no document matches", False)
    ]


def test_two_documents_that_fit_as_well_are_left_to_a_person() -> None:
    documents = [document("1", "a.jpg"), document("2", "A.jpg")]
    found = match(documents, [file("a.jpg")])
    reason = "/photos/a.jpg has the same file name as documents 1, 2"
    assert pairs_of(found) == {}
    assert [left.reason for left in (*found.documents, *found.files)] == [reason] * 3
    assert all(left.ambiguous for left in (*found.documents, *found.files))


def test_two_files_that_fit_as_well_are_left_to_a_person() -> None:
    files = [file("a.jpg"), file("old/a.jpg")]
    found = match([document("1", "a.jpg")], files)
    reason = "document 1 has the same file name as files /photos/a.jpg, /photos/old/a.jpg"
    assert pairs_of(found) == {}
    assert [left.reason for left in (*found.documents, *found.files)] == [reason] * 3


def test_weaker_evidence_does_not_choose_between_equals() -> None:
    # By its name it is document 1 or 2, by its time document 3.
    documents = [document("1", "a.jpg"), document("2", "a.jpg"), document("3", created=NOON)]
    found = match(documents, [file("a.jpg", captured=NOON)])
    assert pairs_of(found) == {}
    assert all(left.ambiguous for left in found.documents)


def test_what_fits_something_else_better_is_not_taken() -> None:
    documents = [document("1", "a.jpg", md5=SUM), document("2", "b.jpg")]
    found = match(documents, [file("b.jpg", md5=SUM), file("a.jpg")])
    assert pairs_of(found) == {"1": ("b.jpg", "same md5: unchanged")}
    assert [left.reason for left in (*found.documents, *found.files)] == [
        "/photos/b.jpg has the same md5 as document 1",
        "document 1 has the same md5 as file /photos/b.jpg",
    ]


def test_many_candidates_are_counted() -> None:
    found = match([document(str(number), "a.jpg") for number in range(1, 6)], [file("a.jpg")])
    (left,) = found.files
    assert left.reason.endswith("documents 1, 2, 3 and 2 more")


def test_only_files_of_a_documents_size_are_read() -> None:
    is_needed = needs_checksum([document("1", md5=SUM, bytes=7), document("2", bytes=8)])
    assert [is_needed(size) for size in (6, 7, 8)] == [False, True, False]
    assert needs_checksum([document("1", md5=SUM)])(6)
    assert not needs_checksum([])(6)


# -- in general ------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a.jpg", "A.jpg", "b.jpg", "c.jpg"])
SUMS = st.sampled_from([None, SUM, OTHER_SUM])
TIMES = st.sampled_from([None, NOON, ONE])
DOCUMENTS = st.lists(
    st.builds(
        lambda name, md5, created: document("0", name, md5=md5, created=created),
        st.one_of(st.none(), NAMES),
        SUMS,
        TIMES,
    ),
    max_size=6,
).map(lambda found: [replace(one, doc_id=str(at)) for at, one in enumerate(found, 1)])
FILES = st.lists(
    st.builds(
        lambda name, md5, captured: file(name, md5=md5, captured=captured), NAMES, SUMS, TIMES
    ),
    max_size=6,
).map(
    lambda found: [
        replace(one, path=Path(f"/photos/{at}/{one.name}")) for at, one in enumerate(found, 1)
    ]
)


@settings(deadline=None)
@given(DOCUMENTS, FILES)
def test_everything_is_in_one_place(documents: list[Document], files: list[LocalFile]) -> None:
    found = match(documents, files)
    ids = [pair.document.doc_id for pair in found.pairs]
    ids += [left.item.doc_id for left in found.documents if isinstance(left.item, Document)]
    assert sorted(ids, key=int) == [one.doc_id for one in documents]
    paths = [pair.file.path for pair in found.pairs]
    paths += [left.item.path for left in found.files if isinstance(left.item, LocalFile)]
    assert sorted(paths) == [one.path for one in files]


@settings(deadline=None)
@given(DOCUMENTS, FILES)
def test_nothing_fits_one_of_a_pair_as_well(
    documents: list[Document], files: list[LocalFile]
) -> None:
    for pair in match(documents, files).pairs:
        evidence = compare(pair.document, pair.file)
        assert evidence is pair.evidence
        for other in documents:
            assert other == pair.document or (compare(other, pair.file) or 0) < evidence
        for other_file in files:
            assert other_file == pair.file or (compare(pair.document, other_file) or 0) < evidence


@settings(deadline=None)
@given(DOCUMENTS, FILES, st.randoms())
def test_the_order_does_not_matter(
    documents: list[Document], files: list[LocalFile], random: Any
) -> None:
    shuffled, shuffled_files = documents[:], files[:]
    random.shuffle(shuffled)
    random.shuffle(shuffled_files)
    before, after = match(documents, files), match(shuffled, shuffled_files)
    assert set(before.pairs) == set(after.pairs)
    assert {left.item for left in before.documents} == {left.item for left in after.documents}


@settings(deadline=None)
@given(DOCUMENTS, FILES)
def test_a_second_document_like_a_paired_one_ends_its_pair(
    documents: list[Document], files: list[LocalFile]
) -> None:
    for pair in match(documents, files).pairs:
        double = replace(pair.document, doc_id="99")
        again = match([*documents, double], files)
        assert pair not in again.pairs
        assert not {pair.document.doc_id, "99"} & set(pairs_of(again))
