"""The journal and the clock of a process in the model; each use of the journal may be its last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipernity_provider.replacement.record import UploadRecord

if TYPE_CHECKING:
    from tests.simulation.world import Process, World


class ModelJournal:
    """A task's journal: Airflow's task state store, which may be out of reach for a while."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self._own: UploadRecord | None = None

    def _io(self, label: str) -> None:
        world = self._world
        world.boundary(self._process, label)
        self._process.fenced_at = world.service.now
        if world.may_fail and world.choose(2, "the journal fails from here on"):
            world.may_fail = False
            world.journal_fails_until = world.service.now + world.scenario.journal_outage
        if world.service.now < world.journal_fails_until:
            raise ConnectionError("the execution API is down")
        if world.scenario.fenced and self._process.task.newest is not self._process:
            raise ConnectionError("the execution API does not know this try any more")

    def read(self) -> UploadRecord | None:
        self._io("journal read")
        return self._process.task.record if self._world.scenario.journal else self._own

    def write(self, record: UploadRecord) -> None:
        self._io("journal write")
        if self._world.scenario.journal:
            task = self._process.task
            task.stale_record = task.stale_record or task.newest is not self._process
            task.record = record
        else:
            self._own = record

    def delete(self) -> None:
        self._io("journal delete")
        if self._world.scenario.journal:
            self._process.task.record = None
        else:
            self._own = None


class ModelClock:
    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    def time(self) -> float:
        return self._world.service.now

    def monotonic(self) -> float:
        return self._world.service.now

    def sleep(self, seconds: float) -> None:
        self._world.sleep(self._process, seconds)
