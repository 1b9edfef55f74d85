"""What follows from what a probe has seen. Nothing here calls the service."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ipernity_provider.api.errors import IpernityError
from ipernity_provider.api.exchange import Answer
from ipernity_provider.api.parsing import Payload, as_int, as_map, decode
from ipernity_provider.probe.findings import (
    FACTS,
    MEDIA_FACTS,
    NOT_APPLICABLE,
    NUMBER_PATHS,
    UNKNOWN,
    Findings,
)
from ipernity_provider.probe.observations import (
    MediaObservation,
    Observation,
    SeenDocument,
    Sending,
)
from ipernity_provider.probe.samples import Sample

_DEEPEST, _LONGEST_LIST = 8, 100
_LARGEST_MEASURE = 10**6


def conclude(seen: Observation) -> Findings:
    """Return what follows from all that was seen."""
    error = decode(seen.error.body) if seen.error else None
    forms = number_forms([*seen.answers, *([error] if error else [])])
    types = set(forms.values())
    held = seen.token.permissions.get("doc", "none")
    facts = {
        "service": "live" if seen.is_live else "other",
        "auth": seen.auth,
        "is_pro": _yes_no(seen.quota.is_pro if seen.quota else None),
        "doc_permission": held if held in FACTS["doc_permission"].answers else UNKNOWN,
        "unlimited": _yes_no(seen.quota.unlimited if seen.quota else None),
        "without_lg": _without_lg(seen.without_lg),
        "numbers": UNKNOWN if not types else types.pop() if len(types) == 1 else "mixed",
        **_error_facts(seen.error),
        "oauth_multipart": seen.oauth_multipart if seen.auth == "oauth" else NOT_APPLICABLE,
        "async_0": _sync_reply(seen.sync),
    }
    return Findings(
        probed_on=seen.day,
        facts=facts,
        media={one.media: media_facts(one) for one in seen.media},
        measured={one.media: _measures(one) for one in seen.media},
        number_members=forms if facts["numbers"] == "mixed" else {},
    )


def number_forms(replies: Iterable[Payload]) -> dict[str, str]:
    """Return for each place of a whole number whether it is ``text``, ``number`` or ``both``."""
    forms: dict[str, str] = {}
    for path, value in _members(list(replies), _DEEPEST):
        if path in NUMBER_PATHS and as_int(value) is not None:
            form = "text" if isinstance(value, str) else "number"
            forms[path] = form if forms.get(path, form) == form else "both"
    return dict(sorted(forms.items()))


def _members(value: Any, deepest: int, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all members, each with the names that lead to it; those of a list are its own."""
    if deepest and isinstance(value, Mapping):
        for name, member in value.items():
            path = f"{place}.{name}" if place else str(name)
            yield path, member
            yield from _members(member, deepest - 1, path)
    elif deepest and isinstance(value, list):
        for member in value[:_LONGEST_LIST]:
            yield from _members(member, deepest - 1, place)


def _yes_no(value: bool | None) -> str:
    return UNKNOWN if value is None else "yes" if value else "no"


def _without_lg(answer: Answer | None) -> str:
    if answer is None:
        return UNKNOWN
    api = as_map((decode(answer.body) or {}).get("api"))
    if api.get("status") == "ok":
        return "answered"
    code = as_int(api.get("code"))
    if code is not None and 0 <= code < 10_000:
        return f"code:{code}"
    return f"http:{answer.status}" if 300 <= answer.status < 600 else UNKNOWN


def _error_facts(answer: Answer | None) -> dict[str, str]:
    names = ("content_type", "error_http_status", "error_at", "error_retry_after")
    envelope = None if answer is None else decode(answer.body)
    if answer is None or envelope is None:  # a proxy's page is not the service's error
        return dict.fromkeys(names, UNKNOWN)
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() or "none"
    known = kind if kind in FACTS["content_type"].answers else "other"
    status = f"http:{answer.status}" if 200 <= answer.status < 600 else UNKNOWN
    has_time = as_int(as_map(envelope.get("api")).get("at")) is not None
    asks_to_wait = "Retry-After" in answer.headers
    return dict(zip(names, (known, status, _yes_no(has_time), _yes_no(asks_to_wait)), strict=True))


def _sync_reply(sent: Sending | None) -> str:
    if sent is None or (sent.error is None and sent.reply is None):
        return UNKNOWN
    if sent.reply is None:
        return _refusal(sent.error)
    if sent.reply.ticket and sent.reply.doc_id:
        return "both"
    return "ticket" if sent.reply.ticket else "doc_id" if sent.reply.doc_id else "neither"


def _refusal(error: IpernityError | None) -> str:
    """Return how a call was refused by the service itself."""
    if error is None or error.code is None or error.maybe_accepted:
        return UNKNOWN
    return f"refused:{error.code}"


def media_facts(seen: MediaObservation) -> dict[str, str]:
    """Return the facts of one media class."""
    facts = dict.fromkeys(MEDIA_FACTS, UNKNOWN)
    facts["upload"] = _ending(seen.file, "accepted")
    facts["file_ticket"] = _ticket_form(seen.file)
    facts["eta"] = _eta(seen)
    if seen.replace is None:
        return facts
    facts["replace"] = replaced = _replaced(seen, seen.replace)
    facts["replace_ticket"] = _ticket_form(seen.replace)
    if replaced == "in_place":
        facts |= _in_place_facts(seen)
    else:
        in_place_only = ("replaced_at", "thumbnail_address", "thumbnail_content")
        facts |= dict.fromkeys(in_place_only, NOT_APPLICABLE)
    result = seen.after if replaced == "in_place" else seen.new
    if replaced == "new_document":
        facts["new_document_visibility"] = (result and result.visibility) or UNKNOWN
    else:
        facts["new_document_visibility"] = NOT_APPLICABLE
    if replaced in {"in_place", "new_document"}:
        facts |= _checksum_facts(seen, seen.replace, result)
    return facts


def _ending(sent: Sending, success: str) -> str:
    if sent.error is not None and sent.wait is None:
        return _refusal(sent.error)
    state = sent.wait.state if sent.wait else UNKNOWN
    return {"done": success, "invalid": "invalid"}.get(state, UNKNOWN)


def _replaced(seen: MediaObservation, replace: Sending) -> str:
    ending = _ending(replace, "done")
    if ending != "done":
        return ending
    if replace.doc_id is None or seen.file.doc_id is None:
        return UNKNOWN
    if replace.doc_id != seen.file.doc_id:
        return "new_document"
    shown = seen.after.shown_md5 if seen.after else None
    return "no_effect" if seen.file.sample.md5 in (seen.stored_md5, shown) else "in_place"


def _ticket_form(sent: Sending) -> str:
    if sent.reply is None:
        return UNKNOWN
    ticket = sent.reply.ticket or ""
    if not ticket:
        return "none"
    if re.fullmatch(r"\d+", ticket):
        return "digits"
    return "dashed" if re.fullmatch(r"\d+-\d+", ticket) else "other"


def _eta(seen: MediaObservation) -> str:
    waits = [sent.wait for sent in (seen.replace, seen.file) if sent and sent.wait]
    wait = next((one for one in waits if one.was_pending and one.state == "done"), None)
    if wait is None:
        return UNKNOWN
    if wait.announced is None:
        return "absent"
    # A pause between two looks is a part of the measured time, so only a big difference counts.
    if wait.announced > 2 * wait.seconds + 10:
        return "too_high"
    return "too_low" if wait.seconds > 2 * max(0, wait.announced) + 20 else "honest"


def _in_place_facts(seen: MediaObservation) -> dict[str, str]:
    facts = dict.fromkeys(("replaced_at", "thumbnail_address", "thumbnail_content"), UNKNOWN)
    if seen.after is None:
        return facts
    facts["replaced_at"] = "shown" if seen.after.replaced_at > 0 else "not_shown"
    if seen.before is not None:
        facts["thumbnail_address"] = _address_change(seen.before.thumbnails, seen.after.thumbnails)
    before, after = seen.thumbnails
    if before and after:
        facts["thumbnail_content"] = "same" if before == after else "changed"
    elif facts["thumbnail_address"] == "none":
        facts["thumbnail_content"] = NOT_APPLICABLE
    return facts


def _address_change(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    if not before and not after:
        return "none"
    pairs = [(before[label], after[label]) for label in before if label in after]
    if not pairs:
        return UNKNOWN
    if all(old == new for old, new in pairs):
        return "same"
    return "marker" if all(_path(old) == _path(new) for old, new in pairs) else "path"


def _path(url: str) -> str:
    try:
        return urlsplit(url)._replace(query="", fragment="").geturl()
    except ValueError:
        return url


def _checksum_facts(
    seen: MediaObservation, replace: Sending, result: SeenDocument | None
) -> dict[str, str]:
    sent, stored = replace.sample, seen.stored_md5
    facts = dict.fromkeys(("stored_bytes", "md5_member", "md5_of", "check_md5"), UNKNOWN)
    shown = result.shown_md5 if result else None
    if result is not None:
        places = (bool(result.md5), bool(result.original_md5))
        names = {(True, False): "doc", (False, True): "original", (True, True): "both"}
        facts["md5_member"] = names.get(places, "none")
        if shown is None:
            facts["md5_of"] = NOT_APPLICABLE
        elif shown == sent.md5:
            facts["md5_of"] = "sent"
        else:
            facts["md5_of"] = "stored" if shown == stored else "other"
        if result.bytes is not None and result.bytes != len(sent.data):
            facts["stored_bytes"] = "rewritten"
    if stored is not None:
        facts["stored_bytes"] = "as_sent" if stored == sent.md5 else "rewritten"
    facts["check_md5"] = _check_md5(seen, sent, replace.doc_id)
    return facts


def _check_md5(seen: MediaObservation, sent: Sample, doc_id: str | None) -> str:
    if seen.md5_hits is None:
        return _refusal(seen.md5_error)
    if doc_id in seen.md5_hits.get(sent.md5, ()):
        return "sent"
    stored = seen.md5_hits.get(seen.stored_md5 or "", ())
    return "stored" if doc_id in stored else "nothing"


def _measures(seen: MediaObservation) -> dict[str, float]:
    wait = seen.replace.wait if seen.replace and seen.replace.wait else seen.file.wait
    if wait is None or wait.state != "done":
        return {}
    found: dict[str, float] = {"processing_seconds": round(wait.seconds, 1)}
    if wait.announced is not None and abs(wait.announced) <= _LARGEST_MEASURE:
        found["announced_seconds"] = wait.announced
    return found
