"""Which local file belongs to which document: pure functions, without I/O.

A pair is only proposed where each of the two is the other's single best match. Everything else is
left to a person, with the reason.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

from ipernity_provider.api.models import Document
from ipernity_provider.files.folder import LocalFile
from ipernity_provider.text import display

K = TypeVar("K")

_SHOWN = 3


class Evidence(IntEnum):
    """What a document and a file have in common, strongest last."""

    CAPTURE_TIME = 1
    FILENAME = 2
    FILENAME_AND_CAPTURE_TIME = 3
    MD5 = 4

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Evidence.CAPTURE_TIME: "capture time",
    Evidence.FILENAME: "file name",
    Evidence.FILENAME_AND_CAPTURE_TIME: "file name and capture time",
    Evidence.MD5: "md5",
}


@dataclass(frozen=True)
class Pair:
    """A document and a file that may belong to it."""

    document: Document
    file: LocalFile
    evidence: Evidence

    @property
    def reason(self) -> str:
        same = f"same {self.evidence.words}"
        return f"{same}: unchanged" if self.evidence is Evidence.MD5 else same


@dataclass(frozen=True)
class Unpaired:
    """A document or a file without a partner.

    :param ambiguous: there are candidates, and a person has to choose.
    """

    item: Document | LocalFile
    reason: str
    ambiguous: bool


@dataclass(frozen=True)
class Matching:
    """Every document and every file is in exactly one place: in one pair, or unpaired."""

    pairs: tuple[Pair, ...]
    documents: tuple[Unpaired, ...]
    files: tuple[Unpaired, ...]


def compare(document: Document, file: LocalFile) -> Evidence | None:
    """Return what a document and a file have in common; None if nothing counts.

    A file of another media class cannot replace the document's. The same file name is no evidence
    where the capture times differ: cameras begin to count again at ``IMG_0001``.
    """
    if file.md5 is not None and file.md5 == document.md5:
        return Evidence.MD5
    if not _is_same_media(document, file):
        return None
    same_time = file.captured == document.created if file.captured and document.created else None
    if _name_key(document.filename) != _name_key(file.name):
        return Evidence.CAPTURE_TIME if same_time else None
    if same_time is None:
        return Evidence.FILENAME
    return Evidence.FILENAME_AND_CAPTURE_TIME if same_time else None


def match(documents: Sequence[Document], files: Sequence[LocalFile]) -> Matching:
    """Propose pairs of documents and files.

    The order of the two lists does not matter, and no pair depends on which others were found.

    :param documents: each with another ``doc_id``.
    :param files: each with another path.
    """
    of_document: dict[str, list[Pair]] = defaultdict(list)
    of_file: dict[Path, list[Pair]] = defaultdict(list)
    contradicted: dict[str | Path, str] = {}
    for document, file in _candidates(documents, files):
        if evidence := compare(document, file):
            of_document[document.doc_id].append(Pair(document, file, evidence))
            of_file[file.path].append(Pair(document, file, evidence))
        elif _is_same_media(document, file):
            contradicted[document.doc_id] = display(file.path)
            contradicted[file.path] = f"document {document.doc_id}"
    best_of_document, best_of_file = _best(of_document), _best(of_file)
    pairs = tuple(
        best[0]
        for document in documents
        if len(best := best_of_document.get(document.doc_id, [])) == 1
        and best_of_file[best[0].file.path] == best
    )
    paired: set[str | Path] = {pair.document.doc_id for pair in pairs}
    paired |= {pair.file.path for pair in pairs}

    def unpaired(item: Document | LocalFile) -> Unpaired:
        key = item.doc_id if isinstance(item, Document) else item.path
        best = best_of_document.get(key) if isinstance(key, str) else best_of_file.get(key)
        if not best:
            other = contradicted.get(key)
            reason = f"{other} has the same file name, but another capture time" if other else ""
            nothing = "no file matches" if isinstance(key, str) else "no document matches"
            return Unpaired(item, reason or nothing, ambiguous=bool(reason))
        # One candidate, which has other or better ones itself: they are the reason.
        if isinstance(key, str) == (len(best) > 1):
            return Unpaired(item, _files_of(best_of_document[best[0].document.doc_id]), True)
        return Unpaired(item, _documents_of(best_of_file[best[0].file.path]), True)

    return Matching(
        pairs,
        tuple(unpaired(document) for document in documents if document.doc_id not in paired),
        tuple(unpaired(file) for file in files if file.path not in paired),
    )


def needs_checksum(documents: Iterable[Document]) -> Callable[[int], bool]:
    """Return a predicate of a file's size: whether its bytes can be those of one of the documents.

    Files of another size need not be read.
    """
    sizes = {document.bytes for document in documents if document.md5}
    return lambda size: None in sizes or size in sizes


def _name_key(name: str | None) -> str | None:
    """Return a file name for comparing: without case, and with accents in one spelling."""
    return unicodedata.normalize("NFC", name).casefold() if name else None


def _is_same_media(document: Document, file: LocalFile) -> bool:
    return not (file.media and document.media) or file.media == document.media


def _candidates(
    documents: Sequence[Document], files: Sequence[LocalFile]
) -> Iterator[tuple[Document, LocalFile]]:
    """Yield each document and file that have a property in common, once."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, document in enumerate(documents):
        name = _name_key(document.filename)
        for key in (("md5", document.md5), ("name", name), ("time", document.created)):
            if key[1]:
                places[key[0], key[1]].append(at)
    for file in files:
        name = _name_key(file.name)
        keys = [("md5", file.md5), ("name", name), ("time", file.captured)]
        found = {at for kind, value in keys if value for at in places.get((kind, value), ())}
        yield from ((documents[at], file) for at in sorted(found))


def _best(found: Mapping[K, Sequence[Pair]]) -> dict[K, list[Pair]]:
    """Return of each list the pairs with its strongest evidence."""
    best = {}
    for key, pairs in found.items():
        strongest = max(pair.evidence for pair in pairs)
        best[key] = [pair for pair in pairs if pair.evidence is strongest]
    return best


def _files_of(pairs: Sequence[Pair]) -> str:
    """Return that a document has these files."""
    first = pairs[0]
    files = _name_some("file", [display(pair.file.path) for pair in pairs])
    return f"document {first.document.doc_id} has the same {first.evidence.words} as {files}"


def _documents_of(pairs: Sequence[Pair]) -> str:
    """Return that a file has these documents."""
    first = pairs[0]
    documents = _name_some("document", [pair.document.doc_id for pair in pairs])
    return f"{display(first.file.path)} has the same {first.evidence.words} as {documents}"


def _name_some(noun: str, names: Sequence[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names[:_SHOWN])}{more}"
