"""``doc.search`` and ``explore.docs.getPopular``."""

from __future__ import annotations

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.documents import Document
from ipernity_provider.sandbox.methods.fields import LICENSES, read_date_time
from ipernity_provider.sandbox.methods.listing import filtered, page_of_documents
from ipernity_provider.sandbox.methods.users import find_user
from ipernity_provider.sandbox.reply import Payload

MAX_TAGS = 20
MAX_FOUND_BY_TEXT = 3000


async def search(call: AuthorizedCall) -> Payload:
    """Answer with one page of the documents that fit everything that the call names."""
    documents = filtered(call)
    if user_id := call.request.param("user_id"):
        user = find_user(user_id, call.token)
        if user is None:
            raise call.error(1)
        documents = [document for document in documents if document.owner == user]
    documents = _in_containers(call, documents)
    documents = _with_words(call, documents)
    documents = _between_dates(call, documents)
    if code := call.request.param("license"):
        if code not in map(str, LICENSES):
            raise call.unknown("license is not one of the documented codes")
        documents = [document for document in documents if str(document.license) == code]
    return {"docs": page_of_documents(call, documents)}


async def get_popular(call: AuthorizedCall) -> Payload:
    """Answer with one page of all public documents, the newest first: nobody visits them."""
    return {"docs": page_of_documents(call, [one for one in filtered(call) if one.is_public])}


def _in_containers(call: AuthorizedCall, documents: list[Document]) -> list[Document]:
    """Return the documents that are in the album and in the group; in none that is not known."""
    for name, known in (("album_id", call.sandbox.albums), ("group_id", call.sandbox.groups)):
        if container_id := call.request.param(name):
            container = known.get(container_id)
            inside = set() if container is None else set(container.doc_ids)
            documents = [document for document in documents if document.doc_id in inside]
    return documents


def _with_words(call: AuthorizedCall, documents: list[Document]) -> list[Document]:
    """Return the documents with each word of ``text``, and with each of the keywords ``tags``."""
    words = call.request.param("text").casefold().split()
    if words:
        found = [one for one in documents if all(word in _text_of(one) for word in words)]
        documents = found[:MAX_FOUND_BY_TEXT]
    tags = call.request.listed("tags")
    if len(tags) > MAX_TAGS:
        raise call.unknown(f"tags lists more than {MAX_TAGS} keywords, which is the limit")
    return [one for one in documents if all(one.tag("keyword", tag) for tag in tags)]


def _text_of(document: Document) -> str:
    keywords = [tag.tag for tag in document.tags]
    return " ".join([document.title, document.description, *keywords]).casefold()


def _between_dates(call: AuthorizedCall, documents: list[Document]) -> list[Document]:
    """Return the documents within the bounds; both ends belong to them."""
    posted_min, posted_max = (_unix_time(call, f"posted_{end}") for end in ("min", "max"))
    created_min, created_max = (read_date_time(call, f"created_{end}") for end in ("min", "max"))
    return [
        one
        for one in documents
        if (posted_min is None or one.posted_at >= posted_min)
        and (posted_max is None or one.posted_at <= posted_max)
        and (not created_min or one.created >= created_min)
        and (not created_max or one.created <= created_max)
    ]


def _unix_time(call: AuthorizedCall, name: str) -> int | None:
    text = call.request.param(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise call.unknown(f"{name} is not a time in unix seconds")
    return int(text)
