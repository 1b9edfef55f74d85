"""The core in 100,000 histories: no two uploads of one intent, no wrong green, nothing forgotten.

Where documents are transferred, nothing is added twice, and none is seen by others than before.

A history that fails is printed as a script; ``replay`` runs it again::

    replay("two writers; the service replaces, md5 shown", {18: 1, 25: 1})
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.exploring import explore, run_history, wander
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.world import World

#: For each of the 330 scenarios: all histories with up to two deviations, as far as so many, then
#: random ones.
_SYSTEMATIC = 240
_RANDOM = 75


@pytest.fixture(autouse=True)
def without_log() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def replay(name: str, script: dict[int, int]) -> World:
    return run_history(SCENARIOS[name], script)


@pytest.mark.parametrize("name", SCENARIOS)
def test_invariants_hold_in_all_histories(name: str) -> None:
    scenario = SCENARIOS[name]
    histories = sum(1 for _ in explore(scenario, deviations=2, limit=_SYSTEMATIC))
    histories += sum(1 for _ in wander(scenario, range(_RANDOM)))
    assert histories > _RANDOM


def test_a_history_without_accidents_is_green_at_the_first_try() -> None:
    world = replay("two writers, slow service; the service replaces, md5 shown", {})
    assert [task.tries for task in world.tasks] == [1, 1]
    assert len(world.service.uploads) == 2


def test_a_history_is_told_as_a_script_that_can_be_replayed() -> None:
    script = {12: 1}
    world = replay("one writer, cleared; the service replaces, md5 shown", script)
    text = world.script_text()
    assert text.startswith(
        "replay('one writer, cleared; the service replaces, md5 shown', {\n    12: 1,"
    )
    assert (
        replay("one writer, cleared; the service replaces, md5 shown", script).events
        == world.events
    )
