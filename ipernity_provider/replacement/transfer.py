"""Make a new document take the place of an old one, where the service does not replace.

Experimental: nobody has tried it on a live account. What is to be done is decided by comparing both
documents, so what the new one already has is never added again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.details import (
    PRIVATE,
    DocumentDetails,
    Tag,
    Visibility,
    get_details,
)
from ipernity_provider.api.errors import CredentialError, DocumentNotFound, PermanentError
from ipernity_provider.api.transport import Param
from ipernity_provider.replacement.record import Transfer
from ipernity_provider.text import LINE_LENGTH, lines_of, printable

log = logging.getLogger(__name__)

#: What the API has no method for.
IMPOSSIBLE: Mapping[str, str] = dict.fromkeys(
    ("comments", "favourites", "visits", "page address"), "the API has no method for it"
)
_HIDING = "old document private"
_NOWHERE = -999
_FOREIGN = "another member wrote it, and here it would be yours"
_COMMA = "it contains a comma, which separates keywords"
_UNSEEN = "the service accepted it and does not show it"


@dataclass(frozen=True)
class Step:
    """One call that gives a new document something of the old one.

    :param name: for logs and results; steps of one document have different names.
    """

    name: str
    method: str
    params: Mapping[str, Param]


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what cannot be, with the reasons."""

    steps: tuple[Step, ...]
    impossible: Mapping[str, str]


def plan_transfer(
    old: DocumentDetails, new: DocumentDetails, visibility: Visibility | None
) -> Plan:
    """Compare two documents; return what the new one still lacks of the old one.

    :param visibility: who saw the old one before it became private; None where it is not known.
    """
    impossible: dict[str, str] = {}
    calls = [
        *_plan_fields(old, new, visibility),
        *_plan_tags(old, new, impossible),
        *_plan_notes(old, new, impossible),
    ]
    for kind, places, present in (
        ("album", old.albums, new.albums),
        ("group", old.groups, new.groups),
    ):
        missing = [place for place in dict.fromkeys(places) if place not in present]
        calls += [(f"{kind} {one}", f"{kind}.docs.add", {f"{kind}_id": one}) for one in missing]
    if visibility is None:
        impossible["visibility"] = "the service does not show who sees the old document"
    steps = (Step(name, method, {**params, "doc_id": new.doc_id}) for name, method, params in calls)
    return Plan(tuple(steps), impossible)


_Call = tuple[str, str, dict[str, Param]]


def _plan_fields(
    old: DocumentDetails, new: DocumentDetails, visibility: Visibility | None
) -> Iterator[_Call]:
    if new.visibility != PRIVATE:  # strangers may see it until then
        yield from _plan_visibility(old, new, visibility)
    if old.title != new.title:
        yield "title", "doc.set", {"title": old.title}
    if old.description != new.description:
        yield "description", "doc.set", {"description": old.description}
    if old.license not in {None, new.license}:
        yield "licence", "doc.setLicense", {"license": old.license}
    if old.safety not in {None, new.safety}:
        yield "safety", "doc.setSafety", {"safety": old.safety}
    if (old.lat, old.lng) != (new.lat, new.lng):
        # The service reads a position from the new file: where the owner shows none, it goes.
        nowhere = old.lat is None or old.lng is None
        lat, lng = (_NOWHERE, _NOWHERE) if nowhere else (old.lat, old.lng)
        yield "position", "doc.setGeo", {"lat": str(lat), "lng": str(lng)}
    if new.visibility == PRIVATE:  # shown once nothing is left that should not be seen
        yield from _plan_visibility(old, new, visibility)


def _plan_visibility(
    old: DocumentDetails, new: DocumentDetails, visibility: Visibility | None
) -> Iterator[_Call]:
    names = ("perm_comment", "perm_tag", "perm_tagme")
    perms = {name: getattr(old, name) for name in names if getattr(old, name) is not None}
    flags: dict[str, Param] = {}
    if visibility:  # the flags, not `share`: its number for "public" is documented in two ways
        flags = dict(zip(("is_public", "is_family", "is_friend"), visibility, strict=True))
    moved = visibility is not None and visibility != new.visibility
    if moved or any(getattr(new, name) != level for name, level in perms.items()):
        yield "visibility and permissions", "doc.setPerms", {**flags, **perms}


def _plan_tags(
    old: DocumentDetails, new: DocumentDetails, impossible: dict[str, str]
) -> Iterator[_Call]:
    """Add what is missing: ``doc.tags.edit`` would take away what the new file has brought."""
    present = {_key(tag) for tag in new.tags}
    missing = {_key(tag): tag for tag in old.tags if _key(tag) not in present}.values()
    keywords = [tag.text for tag in missing if tag.kind != "member" and tag.text]
    for keyword in keywords:
        if "," in keyword:
            impossible[f"keyword {keyword!r}"] = _COMMA
    keywords = [keyword for keyword in keywords if "," not in keyword]
    if keywords:
        yield "keywords", "doc.tags.add", {"keywords": keywords}
    members = [tag.id for tag in missing if tag.kind == "member" and tag.id]
    if members:
        yield "people", "doc.tags.add", {"members": members}


def _key(tag: Tag) -> tuple[bool, str]:
    """Return what makes two tags the same: the member, or the word in any letter case."""
    is_member = tag.kind == "member"
    return is_member, tag.id if is_member else tag.text.casefold()


def _plan_notes(
    old: DocumentDetails, new: DocumentDetails, impossible: dict[str, str]
) -> Iterator[_Call]:
    present = Counter(note.shows for note in new.notes)
    for note in old.notes:
        if present[note.shows]:
            present[note.shows] -= 1  # of two equal notes each needs its copy
        elif note.author_id not in {"", old.owner_id}:
            impossible[f"note {note.note_id}"] = _FOREIGN
        else:
            texts = {"content": note.content or None, "member_id": note.member_id or None}
            area = {"x": note.x, "y": note.y, "w": note.w, "h": note.h}
            yield f"note {note.note_id}", "doc.notes.add", {**area, **texts}


def foresee(old: DocumentDetails, *, hides: bool) -> str:
    """Return what would be transferred and what cannot be, in sentences."""
    plan = plan_transfer(old, DocumentDetails(""), old.visibility)
    ending = "would then become private" if hides else "would stay as it is"
    return (
        f"Should the service create a new document, it would get: {summarize_names(plan.steps)}."
        f" Document {old.doc_id} {ending}."
        + "".join(f" Not transferred: {name}: {why}." for name, why in plan.impossible.items())
    )


def summarize_names(steps: tuple[Step, ...] | tuple[str, ...]) -> str:
    """Return the names of steps, with notes, albums and groups counted."""
    names = [step if isinstance(step, str) else step.name for step in steps]
    counted = Counter(name.split(" ")[0] for name in names if name[-1:].isdigit())
    plain = [name for name in names if not name[-1:].isdigit()]
    counts = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in counted.items()]
    return ", ".join([*plain, *counts]) or "nothing"


@dataclass
class Transferring:
    """Carries a transfer out, or continues one.

    :param hides: whether the old document becomes private at the end.
    :param keep: keeps the state safe from a crash; called after each step.
    """

    client: IpernityClient
    old_id: str
    new_id: str
    hides: bool
    keep: Callable[[Transfer], None]
    _state: Transfer = field(default_factory=Transfer, init=False)

    def run(self, state: Transfer, *, look_only: bool = False) -> Transfer:
        """Take each step that is still to be taken, then look at the result.

        A step that the service refuses for good is listed, and the others go on.

        :param state: with who saw the old document before, if that was stored.
        :param look_only: take no step: another task has taken them, and what has changed since, as
            when a third document has taken the place of the new one, is to stay so.
        :return: the state, finished.
        :raises CredentialError: and :raises TransientError: a later call continues.
        :raises DocumentNotFound: one of the two is gone; nothing more was changed.
        """
        self._state = state
        old, new = (get_details(self.client, doc_id) for doc_id in (self.old_id, self.new_id))
        steps = () if look_only else plan_transfer(old, new, state.visibility).steps
        for step in steps:
            if step.name not in state.done and step.name not in state.refused:
                self._take(step)
        new = get_details(self.client, self.new_id)
        left = plan_transfer(old, new, state.visibility)
        refused = {step.name: self._state.refused.get(step.name, _UNSEEN) for step in left.steps}
        refused |= left.impossible
        why_not = self._hide(old, new) if self.hides else ""
        if why_not:
            refused[_HIDING] = why_not
        done = tuple(name for name in self._state.done if name not in refused)
        state = replace(
            self._state,
            done=done,
            refused=refused,
            finished=True,
            hidden=self.hides and not why_not,
            new_url=new.link,
        )
        self.keep(state)
        return state

    def _take(self, step: Step) -> None:
        try:
            self.client.call(step.method, **step.params)
        except CredentialError:
            raise
        except PermanentError as error:
            reason = printable(str(error))
            self._state = replace(self._state, refused={**self._state.refused, step.name: reason})
        else:
            self._state = replace(self._state, done=(*self._state.done, step.name))
        self.keep(self._state)

    def _hide(self, old: DocumentDetails, new: DocumentDetails) -> str:
        """Make the old document private; return why not, if it stays as it is."""
        if old.visibility == PRIVATE:
            return ""
        if self._state.visibility is None or self._state.visibility != new.visibility:
            return "the new document is not seen by those who saw the old one"
        flags = dict.fromkeys(("is_public", "is_family", "is_friend"), False)
        try:
            self.client.call("doc.setPerms", doc_id=self.old_id, **flags)
        except (CredentialError, DocumentNotFound):
            raise
        except PermanentError as error:
            return printable(str(error))
        return ""


def transfer_lines(old_id: str, new_id: str, state: Transfer) -> list[str]:
    """Return what a log says of a finished transfer, in lines that fit."""
    got = f"Document {new_id} got of {old_id}: {summarize_names(state.done)}."
    ending = "is private now" if state.hidden else "stays as it was"
    rest = f"Document {old_id} {ending}, with comments, favourites and visits; nothing was deleted."
    lines = [*lines_of(got)[:2], *lines_of(rest)[:1]]
    refused = (f"Not transferred: {name}: {why}" for name, why in state.refused.items())
    return lines + [printable(line)[:LINE_LENGTH] for line in refused]
