"""``group.*``: groups and their documents.

Only calls by other clients are known; replies have the members that those clients read.
"""

from __future__ import annotations

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.containers import Group
from ipernity_provider.sandbox.methods.listing import add_documents, page_of, page_of_documents
from ipernity_provider.sandbox.methods.users import find_user
from ipernity_provider.sandbox.reply import Payload

MAX_ADDED = 20


async def get_list(call: AuthorizedCall) -> Payload:
    """Answer with one page of a user's groups; all users of the sandbox are in all groups."""
    if find_user(call.request.param("user_id"), call.token) is None:
        raise call.error(1)
    figures, on_page = page_of(call, list(call.sandbox.groups.values()))
    return {"groups": {**figures, "group": [{"group_id": group.group_id} for group in on_page]}}


async def add(call: AuthorizedCall) -> Payload:
    """Put at most 20 documents into a group.

    More are refused with error 900: the service's own answer is not known.
    """
    group = _group(call)
    if len(call.listed_doc_ids()) > MAX_ADDED:
        raise call.unknown(f"doc_id lists more than {MAX_ADDED} documents, which is the limit")
    return {"group": {"group_id": group.group_id, "doc": add_documents(call, group)}}


async def remove(call: AuthorizedCall) -> Payload:
    """Take documents of the account out of a group. The reply lists them as ``docs``."""
    group = _group(call)
    own = {doc.doc_id for doc in call.sandbox.documents.values() if call.owns(doc)}
    removed = [one for one in call.listed_doc_ids() if one in group.doc_ids and one in own]
    group.doc_ids = [doc_id for doc_id in group.doc_ids if doc_id not in removed]
    docs: list[Payload] = [{"doc_id": doc_id} for doc_id in removed]
    return {"group": {"group_id": group.group_id, "docs": docs}}


async def get_documents(call: AuthorizedCall) -> Payload:
    """Answer with one page of a group's documents, in the order in which they were added."""
    group = _group(call)
    documents = [call.sandbox.documents[doc_id] for doc_id in group.doc_ids]
    return {"group": {"group_id": group.group_id, "docs": page_of_documents(call, documents)}}


def _group(call: AuthorizedCall) -> Group:
    group = call.sandbox.groups.get(call.request.param("group_id"))
    if group is None:
        raise call.error(1)
    return group
