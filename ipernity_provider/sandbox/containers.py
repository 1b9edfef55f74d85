"""Albums and groups: what a document can be put into."""

from __future__ import annotations

from dataclasses import dataclass, field

from ipernity_provider.sandbox.documents import User


@dataclass
class Album:
    """A user's own ordered choice of their documents; everybody sees it."""

    album_id: str
    owner: User
    title: str = ""
    description: str = ""
    cover_id: str | None = None
    doc_ids: list[str] = field(default_factory=list)


@dataclass
class Group:
    """Documents of several users; the account is a member of every group of the sandbox."""

    group_id: str
    doc_ids: list[str] = field(default_factory=list)
