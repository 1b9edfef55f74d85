"""What Airflow's database knows of our tasks, for a reader who may read their DAGs.

The queries are those of Airflow's own routes for task instances, XComs and rendered fields, joined:
by its public API, a list would cost one request for each XCom of each task.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Select, and_, exists, or_, select, tuple_
from sqlalchemy.orm import Session

from ipernity_provider.plugins.entries import (
    MANY,
    MARK_OF_MANY,
    MARK_OF_ONE,
    ONE,
    XCOM_KEYS,
    Entry,
    TaskFacts,
    TaskKey,
    read_entry,
)

#: How many tasks one request looks at, newest first.
MOST_TASKS = 2000
_AT_ONCE = 200

_KEY = ("dag_id", "run_id", "task_id", "map_index")


def newest_entries(
    session: Session, readable: Collection[str], dag_id: str | None = None
) -> Iterator[Entry]:
    """Yield the entries of DAGs that may be read, newest first, at most :data:`MOST_TASKS`."""
    wanted = [name for name in readable if dag_id in {None, name}]
    if not wanted:
        return
    newest = _select_tasks().where(
        TaskInstance.dag_id.in_(wanted),
        TaskInstance.start_date.is_not(None),
        TaskInstance.state.not_in(["upstream_failed", "removed"]),
        or_(TaskInstance.operator.in_([ONE, MANY]), _has_mark()),
    )
    newest = newest.order_by(TaskInstance.start_date.desc(), TaskInstance.id.desc())
    for page in count():
        if (start := page * _AT_ONCE) >= MOST_TASKS:
            return
        tasks = _facts(session, newest.limit(_AT_ONCE).offset(start))
        for task in _with_xcoms(session, tasks):
            if entry := read_entry(task):
                yield entry
        if len(tasks) < _AT_ONCE:
            return


def dags_with_entries(session: Session, readable: Collection[str]) -> list[str]:
    """Return the DAGs that may be read and have such tasks, sorted."""
    found = session.scalars(
        select(TaskInstance.dag_id)
        .where(or_(TaskInstance.operator.in_([ONE, MANY]), _has_mark()))
        .distinct()
    )
    return sorted(set(found) & set(readable))


def find_entry(session: Session, key: TaskKey) -> Entry | None:
    """Return the entry of a task instance; None if there is none, or it is not one of ours."""
    one = _select_tasks().where(
        *(getattr(TaskInstance, name) == getattr(key, name) for name in _KEY)
    )
    for task in _with_xcoms(session, _facts(session, one)):
        return read_entry(task)
    return None


def _select_tasks() -> Select[Any]:
    fields = RenderedTaskInstanceFields
    return select(
        *(getattr(TaskInstance, name) for name in _KEY),
        TaskInstance.operator,
        TaskInstance.state,
        TaskInstance.start_date,
        TaskInstance.end_date,
        fields.rendered_fields,
    ).outerjoin(
        fields, and_(*(getattr(fields, name) == getattr(TaskInstance, name) for name in _KEY))
    )


def _has_mark() -> Any:
    same = (getattr(XComModel, name) == getattr(TaskInstance, name) for name in _KEY)
    return exists().where(*same, XComModel.key.in_([MARK_OF_ONE, MARK_OF_MANY]))


def _facts(session: Session, statement: Select[Any]) -> list[TaskFacts]:
    return [
        TaskFacts(
            key=TaskKey(*row[:4]),
            operator=row.operator or "",
            state=row.state or "",
            started=row.start_date,
            ended=row.end_date,
            fields=row.rendered_fields or {},
        )
        for row in session.execute(statement)
    ]


def _with_xcoms(session: Session, tasks: list[TaskFacts]) -> list[TaskFacts]:
    columns = [getattr(XComModel, name) for name in _KEY]
    keys = [
        (task.key.dag_id, task.key.run_id, task.key.task_id, task.key.map_index) for task in tasks
    ]
    found: dict[TaskKey, dict[str, Any]] = {}
    wanted = select(*columns, XComModel.key, XComModel.value).where(
        tuple_(*columns).in_(keys), XComModel.key.in_(XCOM_KEYS)
    )
    for *key, name, value in session.execute(wanted) if keys else ():
        found.setdefault(TaskKey(*key), {})[name] = decode(value)
    return [replace(task, xcoms=found.get(task.key, {})) for task in tasks]


def decode(stored: Any) -> Any:
    """Return an XCom's value: the database keeps it as JSON, most often in a string of its own."""
    try:
        return json.loads(stored) if isinstance(stored, str) else stored
    except ValueError:
        return stored
