"""Which histories are run: all with few deviations from the straight way, and random ones."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.simulation.world import Scenario, Violation, World


def run_history(scenario: Scenario, script: dict[int, int], seed: int | None = None) -> World:
    """Run one history.

    :raises Violation: with the history as a script, if an invariant does not hold.
    """
    world = World(scenario, script, random.Random(seed) if seed is not None else None)
    try:
        world.run()
    except Violation as violation:
        violation.add_note(world.script_text())
        raise
    return world


def explore(scenario: Scenario, deviations: int, limit: int | None = None) -> Iterator[World]:
    """Run all histories with up to so many deviations, those with fewer first."""
    queue: list[dict[int, int]] = [{}]
    count = 0
    for depth in range(deviations + 1):
        following: list[dict[int, int]] = []
        for script in queue:
            world = run_history(scenario, script)
            yield world
            count += 1
            if limit and count >= limit:
                return
            if depth < deviations:
                start = max(script, default=-1) + 1
                for place in range(start, len(world.choices)):
                    options = world.choices[place][0]
                    following += [{**script, place: chosen} for chosen in range(1, options)]
        queue = following


def wander(scenario: Scenario, seeds: range) -> Iterator[World]:
    """Run random, deeper histories, one for each seed."""
    for seed in seeds:
        yield run_history(scenario, {}, seed)
