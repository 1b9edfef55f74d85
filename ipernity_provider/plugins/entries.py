"""What a task has left behind -> what the view shows of it: pure, and safe to show.

XComs and rendered fields can hold anything that a DAG's author has written, so each value is
checked, cut and cleaned here, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

from ipernity_provider.api.models import read_doc_id
from ipernity_provider.bulk.rows import Status
from ipernity_provider.text import clean_text, display

#: The operators whose tasks are listed, by the name that Airflow keeps.
ONE, MANY = "ReplaceFileOperator", "ReplaceFilesOperator"
#: XComs that are read: the whole result, and what a failed task leaves of it.
XCOM_KEYS = ("return_value", "reason", "url", "new_doc_id")
#: An XCom that each result of ours has, whoever made it: an operator of ours, one derived from it,
#: or a ``@task`` that returns what the hook returned.
MARK_OF_ONE, MARK_OF_MANY = "proof", "bytes_sent"

STATUSES: tuple[str, ...] = get_args(Status)
_OUTCOMES = frozenset({"replaced", "unchanged", "planned", "sent", "new_document", "transferred"})
_ENDED = frozenset({"success", "failed", "skipped"})
_LONGEST_REASON = 2000
_MOST_BYTES = 1 << 63
_MOST_PARTS = 40


@dataclass(frozen=True, order=True)
class TaskKey:
    """Which task instance; ``map_index`` is -1 for one that is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What Airflow's database says of a task instance.

    :param fields: the rendered template fields; empty once Airflow has dropped them.
    :param xcoms: decoded, by key.
    """

    key: TaskKey
    operator: str = ""
    state: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    xcoms: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Transfer:
    """What a new document has of the old one.

    :param new_url: the new document's page.
    :param not_transferred: what it did not get, each with the reason.
    """

    new_url: str | None = None
    transferred: tuple[str, ...] = ()
    not_transferred: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One task instance in the view.

    :param outcome: of a result; otherwise ``failed``, ``new_document``, ``retrying``, ``skipped``,
        ``running``, or ``finished`` for a task of many documents and a result that is not here.
    :param file: as it was given, or the name that was sent where nothing else is known.
    :param seconds: from start to end; None before the end.
    :param counts: of a task of many documents: how many came to what, without those of none.
    :param conn_id: the connection that was used.
    """

    key: TaskKey
    many: bool
    outcome: str
    started: datetime | None
    seconds: float | None
    doc_id: str | None = None
    new_doc_id: str | None = None
    file: str | None = None
    bytes: int | None = None
    md5: str | None = None
    ticket: str | None = None
    proof: str | None = None
    url: str | None = None
    reason: str = ""
    backup: str | None = None
    report: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    transfer: Transfer = field(default_factory=Transfer)
    conn_id: str = "ipernity_default"

    def has_outcome(self, outcome: str) -> bool:
        return self.outcome == outcome or outcome in self.counts


def read_entry(task: TaskFacts) -> Entry | None:
    """Return what is shown of a task, or None if it is not one of ours."""
    result = task.xcoms.get("return_value")
    result = result if isinstance(result, Mapping) else {}
    if task.operator == MANY or {"total", MARK_OF_MANY} <= result.keys():
        return _of_many(task, result)
    if task.operator == ONE or {"outcome", "doc_id", MARK_OF_ONE} <= result.keys():
        return _of_one(task, result)
    return None


def _of_one(task: TaskFacts, result: Mapping[str, Any]) -> Entry:
    known = {**{key: task.xcoms.get(key) for key in ("reason", "url", "new_doc_id")}, **result}
    url = _page(known.get("url"))
    given = task.fields.get("file")
    return Entry(
        **_common(task),
        many=False,
        outcome=_outcome(task, known),
        doc_id=_doc_id(known.get("doc_id") or task.fields.get("doc_id") or url),
        new_doc_id=_doc_id(known.get("new_doc_id")),
        file=display(clean_text(str(given or known.get("filename") or ""))) or None,
        bytes=_size(known.get("bytes")),
        md5=_word(known.get("md5")),
        ticket=_word(known.get("ticket")),
        proof=_word(known.get("proof")),
        url=url,
        reason=_lines(known.get("reason")),
        backup=_place(known.get("backup")),
        transfer=read_transfer(known),
    )


def _of_many(task: TaskFacts, result: Mapping[str, Any]) -> Entry:
    counts = {name: size for name in STATUSES if (size := _size(result.get(name)))}
    outcome = _outcome(task, {})
    return Entry(
        **_common(task),
        many=True,
        outcome=outcome,
        file=_text(task.fields.get("manifest")) or None,
        bytes=_size(result.get(MARK_OF_MANY)),
        reason=_lines(task.xcoms.get("reason")),
        report=_place(result.get("report") or task.fields.get("report_to")),
        counts=counts,
    )


def _common(task: TaskFacts) -> dict[str, Any]:
    over = task.state in _ENDED and task.started and task.ended
    conn_id = task.fields.get("ipernity_conn_id")
    return {
        "key": task.key,
        "started": task.started,
        "seconds": max((task.ended - task.started).total_seconds(), 0.0)
        if over and task.ended and task.started
        else None,
        **({"conn_id": conn_id} if isinstance(conn_id, str) and conn_id else {}),
    }


def _outcome(task: TaskFacts, known: Mapping[str, Any]) -> str:
    if task.state == "success":
        outcome = known.get("outcome")
        return outcome if outcome in _OUTCOMES else "finished"
    if task.state == "failed":
        return "new_document" if _doc_id(known.get("new_doc_id")) else "failed"
    return {"skipped": "skipped", "up_for_retry": "retrying"}.get(task.state, "running")


def read_transfer(known: Mapping[str, Any]) -> Transfer:
    """Return what a result, or a row of a report, says of a transfer; all cut and cleaned."""
    given, left = known.get("transferred"), known.get("not_transferred")
    return Transfer(
        new_url=_page(known.get("new_url")),
        transferred=tuple(_text(name, 60) for name in given[:_MOST_PARTS])
        if isinstance(given, list | tuple)
        else (),
        not_transferred=tuple(
            (_text(name, 60), _text(why)) for name, why in list(left.items())[:_MOST_PARTS]
        )
        if isinstance(left, Mapping)
        else (),
    )


def _doc_id(given: Any) -> str | None:
    """Return a document's number; a page of any address names one, such as a sandbox's."""
    try:
        return read_doc_id(given, given if isinstance(given, str) and "://" in given else None)
    except ValueError:
        return None


def _page(given: Any) -> str | None:
    """Return an address that a link may lead to: of the web, and of nothing else."""
    text = clean_text(given) if isinstance(given, str) else ""
    return text if text.startswith(("https://", "http://")) else None


def _place(given: Any) -> str | None:
    return given if isinstance(given, str) and given.strip() and len(given) <= 4096 else None


def _text(given: Any, longest: int = 300) -> str:
    return clean_text(str(given), longest) if given is not None else ""


def _lines(given: Any) -> str:
    """Return a message with the lines that it has."""
    text = str(given)[:_LONGEST_REASON] if given is not None else ""
    return "\n".join(filter(None, map(clean_text, text.splitlines())))


def _word(given: Any) -> str | None:
    return _text(given, 64) or None


def _size(given: Any) -> int | None:
    number = isinstance(given, int) and not isinstance(given, bool)
    return given if number and 0 <= given < _MOST_BYTES else None
