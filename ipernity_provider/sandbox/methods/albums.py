"""``album.*``: a user's albums and their documents.

Of most of these methods only calls by other clients are known; replies have the members that those
clients read. An album is public, but shows each caller only the documents that they may see.
"""

from __future__ import annotations

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.containers import Album
from ipernity_provider.sandbox.credentials import ACCOUNT
from ipernity_provider.sandbox.methods import serializers
from ipernity_provider.sandbox.methods.listing import add_documents, page_of, page_of_documents
from ipernity_provider.sandbox.methods.users import find_user
from ipernity_provider.sandbox.reply import Payload, Value

MAX_ALBUMS = 2048


async def get_list(call: AuthorizedCall) -> Payload:
    """Answer with one page of a user's albums."""
    user = find_user(call.request.param("user_id"), call.token)
    if user is None:
        raise call.error(1)
    albums = [album for album in call.sandbox.albums.values() if album.owner == user]
    figures, on_page = page_of(call, albums)
    return {"albums": {**figures, "album": [_describe(call, album) for album in on_page]}}


async def get(call: AuthorizedCall) -> Payload:
    """Answer with one album."""
    album = call.sandbox.albums.get(call.request.param("album_id"))
    if album is None:
        raise call.error(1)
    return {"album": _describe(call, album)}


async def create(call: AuthorizedCall) -> Payload:
    """Make an empty album."""
    title = call.request.param("title")
    if not title:
        raise call.unknown("title is missing")
    if albums_created(call) >= MAX_ALBUMS:
        raise call.unknown(f"the account has {MAX_ALBUMS} albums, which is its limit")
    album = Album(call.sandbox.new_id("album"), ACCOUNT, title)
    call.sandbox.albums[album.album_id] = album
    return {"album": _describe(call, album)}


async def edit(call: AuthorizedCall) -> Payload:
    """Change the texts and the cover of an album; the cover must be one of its documents."""
    album, given = own_album(call), call.request.params
    cover_id = given.get("cover_id")
    if cover_id is not None and cover_id not in album.doc_ids:
        raise call.unknown("cover_id is not a document of the album")
    if not {"title", "description", "cover_id"} & given.keys():
        raise call.unknown("nothing to change was given")
    album.title = given.get("title", album.title)
    album.description = given.get("description", album.description)
    album.cover_id = cover_id or album.cover_id
    return {"album": _describe(call, album)}


async def delete(call: AuthorizedCall) -> Payload:
    """Delete an album; its documents stay."""
    del call.sandbox.albums[own_album(call).album_id]
    return {}


async def add(call: AuthorizedCall) -> Payload:
    """Put documents into an album, behind those that are in it."""
    album = own_album(call)
    return {"album": {"album_id": album.album_id, "doc": add_documents(call, album)}}


async def remove(call: AuthorizedCall) -> Payload:
    """Take documents out of an album; the reply is like that of ``group.docs.remove``."""
    album = own_album(call)
    removed = [doc_id for doc_id in call.listed_doc_ids() if doc_id in album.doc_ids]
    album.doc_ids = [doc_id for doc_id in album.doc_ids if doc_id not in removed]
    if album.cover_id in removed:
        album.cover_id = None
    docs: list[Payload] = [{"doc_id": doc_id} for doc_id in removed]
    return {"album": {"album_id": album.album_id, "docs": docs}}


async def get_documents(call: AuthorizedCall) -> Payload:
    """Answer with one page of an album's documents, in the album's order."""
    album = call.sandbox.albums.get(call.request.param("album_id"))
    if album is None:
        raise call.error(1)
    documents = [call.sandbox.documents[doc_id] for doc_id in album.doc_ids]
    return {"album": {"album_id": album.album_id, "docs": page_of_documents(call, documents)}}


def own_album(call: AuthorizedCall, code: int = 1) -> Album:
    """Return the album ``album_id``, which must belong to the account.

    :raises ApiError: ``code`` when it does not.
    """
    album = call.sandbox.albums.get(call.request.param("album_id"))
    if album is None or album.owner != ACCOUNT:
        raise call.error(code)
    return album


def albums_created(call: AuthorizedCall) -> int:
    return sum(album.owner == ACCOUNT for album in call.sandbox.albums.values())


def _describe(call: AuthorizedCall, album: Album) -> Payload:
    cover: dict[str, Value] = {} if album.cover_id is None else {"doc_id": album.cover_id}
    return {
        "album_id": album.album_id,
        "title": album.title,
        "description": album.description,
        **({"cover": cover} if cover else {}),
        "owner": serializers.owner(call, album.owner),
    }
