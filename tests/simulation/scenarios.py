"""What the histories are about."""

from __future__ import annotations

from itertools import product
from typing import Any

from tests.simulation.service import Rules
from tests.simulation.world import Scenario, options

#: How a service may show the checksum: in ``doc.get``, through ``doc.checkMD5`` alone, or not at
#: all.
_MD5 = {
    "md5 shown": {},
    "md5 indexed": {"shows_md5": False},
    "md5 hidden": {"shows_md5": False, "indexes_md5": False},
}
_TWO_WRITERS = {"tasks": (("1", "X"), ("1", "Y"))}
_MAP = {"tasks": (("1", "X"), ("2", "Y")), "reorder": True, "clears": 1}
_SAME_FILE = {"tasks": (("1", "X"), ("2", "X"))}

_STORIES: dict[str, dict[str, Any]] = {
    "one writer, cleared": {"clears": 1},
    "one writer, somebody else replaces": {"edits": (("1", "Z"),)},
    "one writer freezes": {"freezes": True, "clears": 1},
    "one writer freezes, no fence": {"freezes": True, "fenced": False, "clears": 1},
    "one writer without a journal": {"journal": False},
    "one writer, the journal fails for a while": {"journal_outage": 50.0, "clears": 1},
    "one writer, reads fail": {"flaky_reads": True, "clears": 1},
    "two writers": {**_TWO_WRITERS, "clears": 1},
    "two writers, one freezes": {**_TWO_WRITERS, "freezes": True, "fenced": False},
    "two writers, slow service": {**_TWO_WRITERS, "processing": 60.0},
    "a map changes its order": _MAP,
    "one file for two documents": {**_SAME_FILE, "clears": 1},
}
_TRANSFERS: dict[str, dict[str, Any]] = {
    "one writer, cleared": {"clears": 1},
    "one writer, cleared with another file": {"clears": 1, "refresh": "Z"},
    "one writer, slow service, cleared with another file": {
        "clears": 1,
        "refresh": "Z",
        "processing": 60.0,
    },
    "one writer, somebody tidies": {"tidies": True},
    "one writer freezes": {"freezes": True, "clears": 1},
    "one writer freezes, no fence": {"freezes": True, "fenced": False},
    "one writer without a journal": {"journal": False},
    "one writer, the journal fails for a while": {"journal_outage": 50.0, "clears": 1},
    "one writer, reads fail": {"flaky_reads": True},
    "two writers": {**_TWO_WRITERS, "clears": 1},
    "two writers, slow service": {**_TWO_WRITERS, "processing": 60.0},
    "two writers, one after the other": {**_TWO_WRITERS, "second_starts": 5.0, "clears": 1},
    "a map changes its order": _MAP,
    "one file for two documents": {**_SAME_FILE, "clears": 1},
}
_SERVICES: dict[str, dict[str, Any]] = {
    "replaces": {},
    "creates documents": {"replaces": False},
    "creates documents, kept": {"replaces": False, "on_new_document": "keep"},
    "creates documents, kept, and forgets": {
        "replaces": False,
        "on_new_document": "keep",
        "forgets": True,
    },
    "creates documents, transferred": {"replaces": False, "on_new_document": "transfer"},
    "rewrites": {"rewrites": True},
    "rewrites, accepted": {"rewrites": True, "proof": "changed"},
    "finds files invalid": {"invalid": True},
    "forgets tickets": {"forgets": True},
}


def _scenario(story: str, given: dict[str, Any], service: str, md5: str) -> Scenario:
    given = {**given, **_SERVICES[service]}
    rules = {name: given.pop(name) for name in set(given) & set(Rules.__dataclass_fields__)}
    how = {name: given.pop(name) for name in set(given) & {"proof", "on_new_document"}}
    return Scenario(
        f"{story}; the service {service}, {md5}",
        Rules(**rules, **_MD5[md5]),
        options(**how),
        **given,
    )


_TRANSFER = "creates documents, transferred"
#: Every story with every service; transfers have stories of their own.
_ALL = [
    *product(_STORIES.items(), [name for name in _SERVICES if name != _TRANSFER], _MD5),
    *product(_TRANSFERS.items(), [_TRANSFER], _MD5),
]
SCENARIOS = {
    scenario.name: scenario
    for scenario in (_scenario(story, given, *names) for (story, given), *names in _ALL)
}
