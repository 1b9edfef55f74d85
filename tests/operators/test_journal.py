"""The journal of a batch in Airflow's task state store: small writes, and nothing lost wherever a process dies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ipernity_provider.operators.journal import TaskStateBatchJournal
from ipernity_provider.replacement.batch import Item
from ipernity_provider.replacement.batch.journal import JournalLost


class Store(dict[str, Any]):
    """A task state store that may die after so many writes.

    :ivar written: the sizes of what was written, in bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []
        self.writes_left: int | None = None

    def set(self, key: str, value: Any, retention: Any) -> None:
        if self.writes_left is not None:
            if self.writes_left == 0:
                raise ConnectionError("the process has died")
            self.writes_left -= 1
        self.written.append(len(json.dumps(value)))
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)


def items(first: int, count: int, **parts: Any) -> list[Item]:
    return [
        Item(str(first + n), f"/data/pictures/{n}.jpg", None, n, f"line {n + 2}", md5="0" * 32, **parts)
        for n in range(count)
    ]


def loaded(store: Store) -> dict[str, Item]:
    return TaskStateBatchJournal(store).load()


@pytest.mark.parametrize("before", [0, 1, 5000])
def test_a_change_costs_one_small_write_however_many_there_are_and_were(before: int) -> None:
    store = Store()
    journal = TaskStateBatchJournal(store)
    assert journal.load() == {}
    if before:
        journal.begin(items(1, before))
    wanted = items(10_000, 5000)
    journal.begin(wanted)
    store.written.clear()
    journal.save(wanted[17].ended_badly("failed", "no good"))
    assert len(store.written) == 1
    assert store.written[0] < 64_000
    store.written.clear()
    journal.save(*[item.ended_badly("not_sent", "no turn") for item in wanted])
    assert len(store.written) <= 5000 / 32 + 1
    assert {item.fate for item in loaded(store).values()} == {"not_sent"}
    assert list(loaded(store)) == [item.doc_id for item in wanted]


def test_what_has_not_changed_is_not_written() -> None:
    store = Store()
    journal = TaskStateBatchJournal(store)
    journal.load()
    journal.begin(items(1, 100))
    store.written.clear()
    journal.begin(items(1, 100))
    journal.save(*items(1, 100))
    assert store.written == []


def test_a_process_that_dies_while_it_takes_up_another_manifest_leaves_the_old_one_whole() -> None:
    old, new = items(1, 200), items(150, 100)
    for writes in range(6):
        store = Store()
        journal = TaskStateBatchJournal(store)
        journal.load()
        journal.begin(old)
        again = TaskStateBatchJournal(store)
        again.load()
        store.writes_left = writes
        if writes < 5:  # four pages, and last the key that says which
            with pytest.raises(ConnectionError):
                again.begin(new)
        else:
            again.begin(new)
        assert loaded(store) == {item.doc_id: item for item in (old if writes < 5 else new)}
        store.writes_left = None
        third = TaskStateBatchJournal(store)
        third.load()
        third.begin(items(500, 10))
        assert list(loaded(store)) == [item.doc_id for item in items(500, 10)]


def test_state_that_somebody_has_deleted_in_part_is_noticed() -> None:
    store = Store()
    journal = TaskStateBatchJournal(store)
    journal.load()
    journal.begin(items(1, 100))
    store.delete("ipernity_batch_1_2")
    with pytest.raises(JournalLost, match=r"Of the 100 items .* 68 are left"):
        loaded(store)
