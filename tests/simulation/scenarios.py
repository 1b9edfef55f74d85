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
_SERVICES: dict[str, dict[str, Any]] = {
    "replaces": {},
    "creates documents": {"replaces": False},
    "creates documents, kept": {"replaces": False, "keep": True},
    "creates documents, kept, and forgets": {"replaces": False, "keep": True, "forgets": True},
    "rewrites": {"rewrites": True},
    "rewrites, accepted": {"rewrites": True, "proof": "changed"},
    "finds files invalid": {"invalid": True},
    "forgets tickets": {"forgets": True},
}


def _scenario(story: str, service: str, md5: str) -> Scenario:
    given = {**_STORIES[story], **_SERVICES[service]}
    rules = {name: given.pop(name) for name in set(given) & set(Rules.__dataclass_fields__)}
    how: dict[str, Any] = {"proof": given.pop("proof")} if "proof" in given else {}
    if given.pop("keep", False):
        how["on_new_document"] = "keep"
    return Scenario(
        f"{story}; the service {service}, {md5}",
        Rules(**rules, **_MD5[md5]),
        options(**how),
        **given,
    )


#: Every story with every service.
SCENARIOS = {
    scenario.name: scenario
    for scenario in (_scenario(*names) for names in product(_STORIES, _SERVICES, _MD5))
}
