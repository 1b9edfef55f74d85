"""The methods that the sandbox has, and what becomes of each of their parameters.

Each documented parameter is either applied or refused in words: to ignore one would report a
success that did not happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

AUTHENTICATION = frozenset({"api_key", "api_sig", "auth_token", "lg"})
"""Parameters of every call, besides those that begin with ``oauth_``."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of one method.

    :param applied: what the sandbox applies.
    :param refused: documented, but not applied: a call with one of them gets error 900.
    :param documented: whether all parameters of the service's method are known. The service ignores
        other ones; where it is not known which ones there are, the sandbox refuses them.
    """

    applied: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    documented: bool = True

    def not_applied(self, names: Iterable[str]) -> str | None:
        """Return the first of these parameters that must not be dropped, or None."""
        for name in names:
            is_foreign = not self.documented and not _is_authentication(name)
            if name in self.refused or (is_foreign and name not in self.applied):
                return name
        return None


def _is_authentication(name: str) -> bool:
    return name in AUTHENTICATION or name.startswith("oauth_")


def _seen(*applied: str) -> Parameters:
    """Return the parameters of a method of which only calls by other clients are known."""
    return Parameters(applied, documented=False)


FLAGS = ("is_public", "is_family", "is_friend")
PERMS = ("perm_comment", "perm_tag", "perm_tagme")
VISIBILITY = ("share", *FLAGS, *PERMS)
PLACE = ("lat", "lng")
PAGE = ("page", "per_page")
_LIST = ("user_id", "media", "share", "extra", "thumbsize", *PAGE)
_DATES = ("posted_min", "posted_max", "created_min", "created_max")
_AREA = ("x", "y", "w", "h")

PARAMETERS: Mapping[str, Parameters] = {
    "account.getQuota": Parameters(),
    "album.create": _seen("title"),
    "album.delete": _seen("album_id"),
    "album.docs.add": Parameters(("album_id", "doc_id")),
    "album.docs.getList": _seen("album_id", *PAGE),
    "album.docs.remove": _seen("album_id", "doc_id"),
    "album.edit": _seen("album_id", "title", "description", "cover_id"),
    "album.get": _seen("album_id"),
    "album.getList": _seen("user_id", *PAGE),
    "api.methods.get": Parameters(("method",)),
    "api.methods.getList": Parameters(),
    "auth.checkToken": Parameters(),
    "auth.getFrob": Parameters(),
    "auth.getToken": Parameters(("frob",), refused=("extra",)),
    "doc.checkMD5": Parameters(("md5",)),
    "doc.delete": Parameters(("doc_id",)),
    "doc.get": Parameters(("doc_id", "extra")),
    "doc.getContainers": Parameters(("doc_id",)),
    "doc.getList": Parameters(_LIST),
    "doc.getMedias": Parameters(("doc_id",)),
    "doc.notes.add": _seen("doc_id", *_AREA, "content", "member_id"),
    "doc.notes.delete": _seen("doc_id", "note_id"),
    "doc.notes.edit": _seen("doc_id", "note_id", *_AREA, "content", "member_id"),
    "doc.search": Parameters(
        (*_LIST, "text", "tags", "album_id", "group_id", "license", *_DATES),
        refused=("lat", "lng", "dist", "sort"),
    ),
    "doc.set": Parameters(
        ("doc_id", "title", "description", *VISIBILITY, "license", "safety", *PLACE)
    ),
    "doc.setGeo": Parameters(("doc_id", *PLACE)),
    "doc.setLicense": Parameters(("doc_id", "license")),
    "doc.setPerms": Parameters(("doc_id", *VISIBILITY)),
    "doc.setSafety": _seen("doc_id", "safety"),
    "doc.tags.add": Parameters(("doc_id", "keywords", "members")),
    "doc.tags.edit": Parameters(("doc_id", "keywords", "members")),
    "doc.tags.getList": Parameters(("doc_id",), refused=("keywords", "members")),
    "doc.tags.remove": Parameters(("doc_id", "keywords", "members")),
    "explore.docs.getPopular": _seen(*PAGE),
    "group.docs.add": _seen("group_id", "doc_id"),
    "group.docs.getList": _seen("group_id", *PAGE),
    "group.docs.remove": _seen("group_id", "doc_id"),
    "group.getList": _seen("user_id", *PAGE),
    "test.echo": Parameters(("echo",)),
    "test.hello": Parameters(),
    "upload.checkTickets": Parameters(("tickets",)),
    "upload.file": Parameters(
        (
            *("title", "description", "created_at", "license", "safety", "keywords", "async"),
            *(*FLAGS, *PERMS, *PLACE, "album_id", "member_ids", "dir"),
        ),
        refused=("share",),
    ),
    "upload.replace": Parameters(("doc_id", "async")),
    "user.get": Parameters(("user_id",), refused=("extra",)),
}
"""Which methods the sandbox has. A file part is no parameter: it is not signed."""
