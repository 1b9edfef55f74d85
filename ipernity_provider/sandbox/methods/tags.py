"""``doc.tags.*``: the keywords of a document, and the members whom it shows.

A tag of a member carries the member's user id as its ``id`` and the name as its ``tag``: which of
the documented members holds them is not known.
"""

from __future__ import annotations

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.credentials import ACCOUNT, USERS
from ipernity_provider.sandbox.documents import Document, Tag, User
from ipernity_provider.sandbox.methods import serializers
from ipernity_provider.sandbox.methods.serializers import EVERYONE
from ipernity_provider.sandbox.reply import Payload


async def get_list(call: AuthorizedCall) -> Payload:
    """Answer with the tags of a document."""
    return {"tags": serializers.tags(call.visible_document())}


async def add(call: AuthorizedCall) -> Payload:
    """Add tags; those that the document has already are not added twice."""
    document = _taggable(call)
    keywords, members = _named(call)
    if not (keywords or members):
        raise call.error(2)
    return _answer(call, document, added=_add(call, document, keywords, members))


async def edit(call: AuthorizedCall) -> Payload:
    """Replace the tags of each kind that the call names; an empty value removes them all."""
    document = call.own_document()
    if not {"keywords", "members"} & call.request.params.keys():
        raise call.error(2)
    keywords, members = _named(call)
    names = {keyword.casefold() for keyword in keywords}
    ids = {member.user_id for member in members}
    kept = [
        tag
        for tag in document.tags
        if (tag.type == "keyword" and ("keywords" not in call.request.params))
        or (tag.type == "member" and ("members" not in call.request.params))
        or (tag.tag.casefold() in names if tag.type == "keyword" else tag.id in ids)
    ]
    dropped = len(document.tags) - len(kept)
    document.tags = kept
    added = _add(call, document, keywords, members)
    return _answer(call, document, added=added, dropped=dropped)


async def remove(call: AuthorizedCall) -> Payload:
    """Remove tags; of another user's document, only those that the account has added."""
    document = _taggable(call)
    keywords, members = _named(call)
    if not (keywords or members):
        raise call.error(2)
    found: list[Tag | None] = [document.tag("keyword", keyword) for keyword in keywords]
    found += [document.tag("member", member.user_id) for member in members]
    if not call.owns(document):
        found = [tag for tag in found if tag is not None and tag.user_id == ACCOUNT.user_id]
    kept = [tag for tag in document.tags if tag not in found]
    dropped = len(document.tags) - len(kept)
    document.tags = kept
    return _answer(call, document, dropped=dropped)


def members_of(call: AuthorizedCall, name: str) -> list[User]:
    """Return the users whose ids a parameter lists.

    :raises ApiError: 900 for an unknown one.
    """
    users = {user.user_id: user for user in USERS}
    for user_id in call.request.listed(name):
        if user_id not in users:
            raise call.unknown(f"there is no user {user_id[:40]!a}")
    return [users[user_id] for user_id in call.request.listed(name)]


def _taggable(call: AuthorizedCall) -> Document:
    """Return the document ``doc_id``, if the account may tag it.

    :raises ApiError: 1 when it may not, or does not see it.
    """
    document = call.visible_document()
    if not (call.owns(document) or document.perm_tag == EVERYONE):
        raise call.error(1)
    return document


def _named(call: AuthorizedCall) -> tuple[list[str], list[User]]:
    return call.request.listed("keywords"), members_of(call, "members")


def _add(call: AuthorizedCall, document: Document, keywords: list[str], members: list[User]) -> int:
    at = call.sandbox.at()
    added = document.add_keywords(keywords, ACCOUNT, at)
    return added + document.add_members(members, ACCOUNT, at)


def _answer(call: AuthorizedCall, document: Document, added: int = 0, dropped: int = 0) -> Payload:
    if added or dropped:
        document.modified_at = call.sandbox.at()
    return {"tags": {"added": added, "dropped": dropped, **serializers.tags(document)}}
