"""What Airflow's database knows of our tasks, for a reader who may read their DAGs.

The queries are those of Airflow's own routes for task instances, XComs and rendered fields, joined:
by its public API, a list would cost one request for each XCom of each task.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Select, exists, or_, select, tuple_
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
#: For how many of them XComs and fields are read at once.
_AT_ONCE = 100

_KEY = ("dag_id", "run_id", "task_id", "map_index")
#: XComs that a task of ours has as soon as the service has named its document, or when it fails.
_TRACES = ("url", "reason", MARK_OF_ONE, MARK_OF_MANY)


def newest_tasks(
    session: Session, readable: Collection[str], dag_id: str | None = None
) -> list[TaskFacts]:
    """Return the tasks of DAGs that may be read, newest first, at most :data:`MOST_TASKS`.

    There are indexes of XComs by key and of task instances by DAG, but none by operator: so the
    XComs say first which DAGs come into question.
    """
    traces = select(XComModel.dag_id).where(XComModel.key.in_(_TRACES)).distinct()
    wanted = set(session.scalars(traces)) & set(readable) & ({dag_id} if dag_id else set(readable))
    if not wanted:
        return []
    ours = or_(TaskInstance.operator.in_([ONE, MANY]), _has_mark())
    newest = (
        select(*_columns())
        .where(
            TaskInstance.dag_id.in_(wanted),
            TaskInstance.start_date.is_not(None),
            TaskInstance.state.not_in(["upstream_failed", "removed"]),
            ours,
        )
        .order_by(TaskInstance.start_date.desc(), TaskInstance.id.desc())
        .limit(MOST_TASKS)
    )
    return _facts(session, newest)


def entries_of(session: Session, tasks: Sequence[TaskFacts]) -> Iterator[Entry]:
    """Yield what is shown of the tasks, in their order; XComs are read as they are needed."""
    for start in range(0, len(tasks), _AT_ONCE):
        for task in _with_xcoms(session, tasks[start : start + _AT_ONCE]):
            if entry := read_entry(task):
                yield entry


def find_entry(session: Session, key: TaskKey) -> Entry | None:
    """Return the entry of a task instance; None if there is none, or it is not one of ours."""
    same = (getattr(TaskInstance, name) == getattr(key, name) for name in _KEY)
    tasks = _facts(session, select(*_columns()).where(*same))
    return next(entries_of(session, tasks), None)


def _columns() -> list[Any]:
    return [
        *(getattr(TaskInstance, name) for name in _KEY),
        TaskInstance.operator,
        TaskInstance.state,
        TaskInstance.start_date,
        TaskInstance.end_date,
    ]


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
        )
        for row in session.execute(statement)
    ]


def _with_xcoms(session: Session, tasks: Sequence[TaskFacts]) -> list[TaskFacts]:
    """Return the tasks with their rendered fields and XComs."""
    keys = [tuple(getattr(task.key, name) for name in _KEY) for task in tasks]
    fields: dict[TaskKey, Any] = {}
    xcoms: dict[TaskKey, dict[str, Any]] = {}
    place = [getattr(RenderedTaskInstanceFields, name) for name in _KEY]
    rendered = select(*place, RenderedTaskInstanceFields.rendered_fields)
    for *key, found in session.execute(rendered.where(tuple_(*place).in_(keys))):
        fields[TaskKey(*key)] = found
    place = [getattr(XComModel, name) for name in _KEY]
    left = select(*place, XComModel.key, XComModel.value).where(XComModel.key.in_(XCOM_KEYS))
    for *key, name, value in session.execute(left.where(tuple_(*place).in_(keys))):
        xcoms.setdefault(TaskKey(*key), {})[name] = decode(value)
    return [
        replace(task, fields=fields.get(task.key) or {}, xcoms=xcoms.get(task.key, {}))
        for task in tasks
    ]


def decode(stored: Any) -> Any:
    """Return an XCom's value: the database keeps it as JSON, most often in a string of its own."""
    try:
        return json.loads(stored) if isinstance(stored, str) else stored
    except ValueError:
        return stored
