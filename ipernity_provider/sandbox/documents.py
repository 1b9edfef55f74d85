"""Documents: a page of the service and its present file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

MediaClass: TypeAlias = Literal["photo", "audio", "video", "other"]

PRIVATE = 0
FAMILY = 1
FRIENDS = 2
PUBLIC = 4


@dataclass(frozen=True)
class User:
    """A member; ``alias`` may stand for the id in addresses."""

    user_id: str
    username: str
    alias: str
    realname: str

    @property
    def icon_path(self) -> str:
        return f"/cdn/icon/{self.user_id}.png"


@dataclass(frozen=True)
class Thumbnail:
    """A small JPEG made from a photo."""

    label: str
    w: int
    h: int
    path: Path


@dataclass(frozen=True)
class StoredFile:
    """A file as the service stores it: ``md5`` and ``bytes`` are those of the stored bytes.

    :param sent_md5: of the bytes that were sent; empty where it is not known to differ.
    :param seconds: how long a sound or film is; 0 when the sandbox cannot tell.
    """

    path: Path
    filename: str
    md5: str
    bytes: int
    media: MediaClass
    ext: str
    w: int = 0
    h: int = 0
    sent_md5: str = ""
    seconds: int = 0
    thumbnails: tuple[Thumbnail, ...] = ()


@dataclass(frozen=True)
class Version:
    """An earlier file of a document, and when it was replaced; ``number`` counts from 1."""

    number: int
    file: StoredFile
    until: int


@dataclass(frozen=True)
class Tag:
    """A keyword, or a member who is on the picture.

    :param id: for a member, the user id; for a keyword, a number of the tag's own.
    :param user_id: who added it.
    :param tag: the keyword, or the member's name.
    """

    type: Literal["keyword", "member"]
    id: str
    user_id: str
    tag: str
    added_at: int


@dataclass
class Note:
    """A text on an area of a photo; ``member`` is the person whom it shows."""

    note_id: str
    author: User
    x: int
    y: int
    w: int
    h: int
    content: str = ""
    member: User | None = None


@dataclass
class Document:
    """A page of the service. ``revision`` counts the files that it has had.

    :param marker: stands behind the addresses of its files.
    :param secrets: how many secrets its addresses have had.
    """

    doc_id: str
    owner: User
    file: StoredFile
    posted_at: int
    title: str = ""
    description: str = ""
    created: str = "0000-00-00 00:00:00"
    license: int = 0
    safety: int = 1
    share: int = PRIVATE
    lat: float | None = None
    lng: float | None = None
    perm_comment: int = 5
    perm_tag: int = 5
    perm_tagme: int = 5
    tags: list[Tag] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    modified_at: int = 0
    replaced_at: int | None = None
    revision: int = 1
    marker: int = 1
    secrets: int = 1
    earlier: list[Version] = field(default_factory=list)
    _tags_made: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        self.modified_at = self.modified_at or self.posted_at

    def replace_file(self, new: StoredFile, at: int, address_change: str = "marker") -> None:
        """Replace the document's file; title, permissions and the rest stay.

        :param address_change: what of the files' addresses changes: ``marker``, ``path``, ``none``.
        """
        self.earlier.append(Version(len(self.earlier) + 1, self.file, at))
        self.file = new
        self.replaced_at = self.modified_at = at
        self.revision += 1
        self.marker += address_change == "marker"
        self.secrets += address_change == "path"

    @property
    def is_public(self) -> bool:
        return self.share == PUBLIC

    def add_keywords(self, keywords: Iterable[str], by: User, at: int) -> int:
        """Add the keywords that the document does not have yet; return how many these are."""
        before = len(self.tags)
        for keyword in keywords:
            if self.tag("keyword", keyword) is None:
                self._tags_made += 1
                number = f"{self.doc_id}{self._tags_made}"
                self.tags.append(Tag("keyword", number, by.user_id, keyword, at))
        return len(self.tags) - before

    def add_members(self, members: Iterable[User], by: User, at: int) -> int:
        """Add the people that the document does not show yet; return how many these are."""
        before = len(self.tags)
        for member in members:
            if self.tag("member", member.user_id) is None:
                tag = Tag("member", member.user_id, by.user_id, member.username, at)
                self.tags.append(tag)
        return len(self.tags) - before

    def tag(self, kind: Literal["keyword", "member"], name: str) -> Tag | None:
        """Return the tag with this keyword, in any letter case, or of the member with this id."""
        for tag in self.tags:
            known = tag.tag if kind == "keyword" else tag.id
            if tag.type == kind and known.casefold() == name.casefold():
                return tag
        return None

    def files(self) -> list[StoredFile]:
        """Return all files that the document has had, the present one last."""
        return [*(version.file for version in self.earlier), self.file]

    def original_name(self, earlier: Version | None = None) -> str:
        """Return the name of the present file, or of an earlier one, in addresses."""
        file = self.file if earlier is None else earlier.file
        return f"{self.doc_id}.{self._secret('original', earlier)}.{file.ext}"

    def thumbnail_name(self, thumbnail: Thumbnail, earlier: Version | None = None) -> str:
        return f"{self.doc_id}.{self._secret('thumbnails', earlier)}.{thumbnail.label}.jpg"

    def path_of(self, name: str) -> Path | None:
        """Return the file with this name, or None."""
        for version in (None, *self.earlier):
            file = self.file if version is None else version.file
            if name == self.original_name(version):
                return file.path
            for thumbnail in file.thumbnails:
                if name == self.thumbnail_name(thumbnail, version):
                    return thumbnail.path
        return None

    def media_path(self, name: str) -> str:
        """Return the path of a file below the root, with a marker that counts the replacements."""
        digits = f"{int(self.doc_id):04d}"
        return f"/cdn/200/{digits[-4:-2]}/{digits[-2:]}/{name}?r{self.marker}"

    def _secret(self, what: str, earlier: Version | None) -> str:
        number = "" if self.secrets == 1 else f" {self.secrets}"
        version = "" if earlier is None else f" before replacement {earlier.number}"
        text = f"{what} of {self.doc_id}{number}{version}"
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8]
