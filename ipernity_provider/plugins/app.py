"""The view's pages: a small FastAPI app that Airflow's API server mounts.

Each page asks Airflow's own functions who reads and what they may read. Nothing is written, nothing
is loaded from elsewhere, and a browser is told to allow nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from importlib.resources import files
from itertools import islice
from typing import Annotated, Any
from urllib.parse import urlencode

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from ipernity_provider.plugins.entries import Entry, TaskKey
from ipernity_provider.plugins.pages import page_address, path_of, render
from ipernity_provider.plugins.pictures import PagePictures, backup_picture
from ipernity_provider.plugins.places import NotShown, show_pictures
from ipernity_provider.plugins.reports import Report, load_report
from ipernity_provider.plugins.tasks import MOST_TASKS, entries_of, find_entry, newest_tasks

PER_PAGE = 30
#: How many reports are searched for a document.
MOST_REPORTS = 20
#: In the order of the filter; the words are those of results and reports.
OUTCOMES = (
    "replaced", "unchanged", "transferred", "new_document", "failed", "refused", "uncertain",
    "not_sent", "sent", "planned", "skipped", "retrying", "running", "finished",
)  # fmt: skip
_STATIC = {"view.css": "text/css", "view.js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src"
    " 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
#: What Airflow itself requires of who reads XComs and rendered fields. Where the path names a DAG,
#: it is that DAG's.
_MAY_READ = [
    Depends(requires_access_dag("GET", entity))
    for entity in (DagAccessEntity.XCOM, DagAccessEntity.TASK_INSTANCE)
]
_TASK = "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/{map_index}"


def make_app() -> FastAPI:
    """Return the app, to be mounted below ``/ipernity``."""
    app = FastAPI(title="ipernity replacements", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.pictures = PagePictures()
    app.middleware("http")(_add_headers)
    app.exception_handler(StarletteHTTPException)(_say_why)
    app.get("/static/{name}")(static)
    app.get("/replacements", dependencies=_MAY_READ)(replacements)
    app.get(_TASK, dependencies=_MAY_READ)(replacement)
    app.get(f"{_TASK}/picture/{{which}}", dependencies=_MAY_READ)(picture)
    return app


def static(name: str) -> Response:
    """Return the style sheet or the script."""
    if name not in _STATIC:
        raise HTTPException(404, "There is no such file.")
    text = files("ipernity_provider.plugins").joinpath("static", name).read_text(encoding="utf-8")
    return Response(
        text, media_type=_STATIC[name], headers={"Cache-Control": "private, max-age=300"}
    )


def replacements(
    request: Request,
    user: GetUserDep,
    session: SessionDep,
    dag_id: Annotated[str, Query(max_length=250)] = "",
    outcome: Annotated[str, Query(max_length=40)] = "",
    doc_id: Annotated[str, Query(max_length=300)] = "",
    page: Annotated[int, Query(ge=1, le=MOST_TASKS)] = 1,
) -> Response:
    """Return the list of all replacements that the reader may see, newest first."""
    readable = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    newest = newest_tasks(session, readable)
    tasks = newest_tasks(session, readable, dag_id) if dag_id else newest
    entries_found = entries_of(session, tasks)
    document = doc_id.strip().rstrip("/").rpartition("/")[2]
    found: Iterator[Entry] = (e for e in entries_found if not outcome or e.has_outcome(outcome))
    if document:
        found = _about(found, document)
    first = (page - 1) * PER_PAGE
    entries = list(islice(found, first, first + PER_PAGE + 1))
    filters = {"dag_id": dag_id, "outcome": outcome, "doc_id": doc_id.strip()}
    return render(
        request,
        "replacements.html",
        entries=entries[:PER_PAGE],
        dag_ids=sorted({task.key.dag_id for task in newest}),
        outcomes=OUTCOMES,
        filters=filters,
        filtered=any(filters.values()),
        newer=page_address(filters, page - 1) if page > 1 else None,
        older=page_address(filters, page + 1) if len(entries) > PER_PAGE else None,
        most=MOST_TASKS,
    )


def replacement(
    request: Request,
    session: SessionDep,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: str,
    doc_id: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Return the page of one task instance, or of one document of its report."""
    entry = _find(session, dag_id, run_id, task_id, map_index)
    if entry is None:
        return render(
            request,
            "message.html",
            title="No replacement",
            text="This task has replaced no file at ipernity, or has not begun yet.",
        )
    report, trouble = _report_of(entry)
    row = report.row_of(doc_id) if report and doc_id else None
    backup = row.backup if row else entry.backup
    return render(
        request,
        "replacement.html",
        entry=entry,
        report=report,
        report_trouble=trouble,
        report_is_newer=bool(report and entry.counts and report.counts != entry.counts),
        row=row,
        has_backup=backup is not None,
        shows_pictures=show_pictures(),
        picture=f"{request.scope['root_path']}{path_of(entry.key)}/picture",
        picture_query=f"?{urlencode({'doc_id': row.doc_id})}" if row else "",
    )


def picture(
    request: Request,
    session: SessionDep,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: str,
    which: str,
    doc_id: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Return the picture before or after, or in one sentence why there is none."""
    entry = _find(session, dag_id, run_id, task_id, map_index)
    try:
        if entry is None or which not in {"before", "after"}:
            raise NotShown("There is no such picture.")
        row = _report_row(entry, doc_id) if entry.many else None
        if which == "before":
            backup = row.backup if row else entry.backup
            if backup is None:
                raise NotShown("There is no backup.")
            data = backup_picture(backup)
        else:
            data = _page_picture(request, entry, row or entry)
    except NotShown as error:
        return Response(str(error), status_code=404, media_type="text/plain")
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=60"})


def _page_picture(request: Request, entry: Entry, shown: Any) -> bytes:
    doc_id = shown.new_doc_id or shown.doc_id
    if not show_pictures():
        raise NotShown("Pictures are switched off: [ipernity] view_pictures.")
    if not doc_id:
        raise NotShown("It is not known which document.")
    pictures: PagePictures = request.app.state.pictures
    return pictures.get(entry.conn_id, doc_id)


def _find(session: Any, dag_id: str, run_id: str, task_id: str, map_index: str) -> Entry | None:
    """Return the entry; Airflow leaves ``{MAP_INDEX}`` as it is where a task is not mapped."""
    number = map_index if map_index.isascii() and map_index.isdecimal() else "-1"
    entry = find_entry(session, TaskKey(dag_id, run_id, task_id, int(number[:9])))
    session.close()  # what follows may take seconds, in which others need the database
    return entry


def _report_of(entry: Entry) -> tuple[Report | None, str]:
    if not entry.many:
        return None, ""
    if not entry.report:
        return None, "The task wrote no report: report_to is not set."
    try:
        return load_report(entry.report), ""
    except NotShown as error:
        return None, str(error)


def _report_row(entry: Entry, doc_id: str) -> Any:
    row = load_report(entry.report).row_of(doc_id) if entry.report else None
    if row is None:
        raise NotShown("The report has no such document.")
    return row


def _about(entries: Iterator[Entry], doc_id: str) -> Iterator[Entry]:
    """Yield the entries of a document; of many documents, those whose report has it.

    Only so many reports are read: a page is to be there soon.
    """
    reports_left = MOST_REPORTS
    for entry in entries:
        if doc_id in {entry.doc_id, entry.new_doc_id}:
            yield entry
        elif entry.report and reports_left:
            reports_left -= 1
            report, _ = _report_of(entry)
            if report and report.row_of(doc_id):
                yield entry


async def _add_headers(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


_WHY = {
    401: ("Not signed in", "Sign in to Airflow, then open this page again."),
    403: ("Not for you to see", "Your account may not read this DAG. Ask whoever runs Airflow."),
    404: ("Not found", "There is nothing at this address."),
}


async def _say_why(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    title, text = _WHY.get(status, ("Not shown", "This page cannot be shown."))
    return render(request, "message.html", status=status, title=title, text=text)
