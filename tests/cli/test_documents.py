"""``documents``: what it lists, and which pairs of documents and files it proposes."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.__main__ import main
from ipernity_provider.bulk.manifest import read_text
from ipernity_provider.operators.ipernity import ReplaceFilesOperator
from scripts.rig import connection_json
from tests.cli.commandline import assert_no_secret, environment, run
from tests.conftest import API_KEY, Connect, Service, draw
from tests.files.test_folder import photo
from tests.operators.test_operator import context
from tests.paged_service import paged_service

Printed = tuple[str, str]


class Documents:
    """Runs ``documents`` in this process; returns stdout and stderr."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.exit_code: Any = 0

    def __call__(self, *arguments: str) -> Printed:
        self.exit_code = 0
        self._capsys.readouterr()  # what was printed before
        try:
            main(["documents", *arguments])
        except SystemExit as ended:
            self.exit_code = ended.code
        out, err = self._capsys.readouterr()
        assert_no_secret(out + err)
        return out, err


@pytest.fixture
def documents(capsys: pytest.CaptureFixture[str]) -> Documents:
    return Documents(capsys)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_each_format_prints_the_same_documents(
    service: Service, connect: Connect, documents: Documents
) -> None:
    connect()
    (as_csv, err), (as_json, _) = documents("--format", "csv"), documents("--format", "json")
    assert err == ""
    rows = rows_of(as_csv)
    assert list(rows[0]) == ["doc_id", "title", "filename", "md5", "bytes", "replaced_at", "url"]
    assert rows == [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in json.loads(as_json)
    ]
    assert (rows[0]["doc_id"], rows[0]["title"], rows[0]["url"]) == (
        "5412",
        "A boat",
        f"{service.url}/doc/1234/5412",
    )
    header, *lines = documents()[0].splitlines()
    assert header.split() == ["doc_id", "title", "filename", "bytes", "replaced_at", "url"]
    assert [line.split()[0] for line in lines] == [row["doc_id"] for row in rows]
    assert all(line.endswith(row["url"]) for line, row in zip(lines, rows, strict=True))


def test_a_replaced_document_says_when(
    service: Service, connect: Connect, documents: Documents, picture: Path
) -> None:
    connect()
    with service.client() as client:
        client.upload_replace("5412", picture, asynchronous=False)
        replaced = client.get_document("5412")
    (row,) = [row for row in rows_of(documents("--format", "csv")[0]) if row["doc_id"] == "5412"]
    assert row["md5"] == replaced.md5
    assert row["replaced_at"].endswith("Z")


def test_a_title_is_neither_calculated_nor_a_command_of_the_terminal(
    service: Service, connect: Connect, documents: Documents
) -> None:
    connect()
    with service.client() as client:
        client.call("doc.set", doc_id="5412", title='=HYPERLINK("http://evil")\x1b[2J')
    (row,) = [row for row in rows_of(documents("--format", "csv")[0]) if row["doc_id"] == "5412"]
    assert row["title"].startswith("'=HYPERLINK")
    for kind in ("csv", "json", "table"):
        assert "\x1b" not in documents("--format", kind)[0]


def test_no_document_is_an_empty_list(
    monkeypatch: pytest.MonkeyPatch, documents: Documents
) -> None:
    with paged_service(0) as empty:
        monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", connection_json(empty.url))
        assert json.loads(documents("--format", "json")[0]) == []
        assert rows_of(documents("--format", "csv")[0]) == []


def test_an_incomplete_list_is_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch, documents: Documents
) -> None:
    def cut(_: dict[str, str], docs: dict[str, Any]) -> dict[str, Any]:
        return {**docs, "total": "4210", "pages": "1"}

    with paged_service(60, cut) as service:
        monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", connection_json(service.url))
        out, err = documents("--format", "csv", "--text", "boat")
    assert len(rows_of(out)) == 60
    assert "lists 4210 documents, but showed 60: the list is not complete" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--since", "yesterday"], "since is 'yesterday': give a date such as 2026-01-31"),
        (["--album", "boats"], "album is 'boats': give an album's number"),
        (["--match", "/no/such/folder"], "/no/such/folder is not a folder. No pairs were proposed"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    connect: Connect, documents: Documents, arguments: list[str], sentence: str
) -> None:
    connect()
    out, err = documents(*arguments)
    assert (documents.exit_code, out, err.count("\n")) == (1, "", 1), err
    assert sentence in err


def test_a_connection_that_is_not_valid_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, documents: Documents
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IPERNITY_DEFAULT", '{"conn_type": "ipernity"}')
    out, err = documents()
    assert (documents.exit_code, out) == (2, "")
    assert "the API secret is missing" in err


def test_a_service_that_fails_is_one_line(
    service: Service, connect: Connect, documents: Documents
) -> None:
    connect()
    service.set(permissions={"doc": "none"})
    service.fail("code:107", "doc.getList")
    out, err = documents("--format", "csv")
    assert documents.exit_code == 1
    assert "(code 107)" in err
    assert out.splitlines() == ["doc_id,title,filename,md5,bytes,replaced_at,url"]


def test_a_reader_that_ends_early_is_no_error(service: Service, tmp_path: Path) -> None:
    env = environment(tmp_path, AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(service.url))
    command = f"{sys.executable} -m ipernity_provider documents --format csv | head -1"
    done = subprocess.run(
        ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [
        ("documents >&-", 0),
        ("check >&-", 0),
        ("documents --match /missing --format csv 2>&-", 1),
    ],
)
def test_without_stdout_or_stderr_a_command_says_nothing_there(
    service: Service, tmp_path: Path, command: str, exit_code: int
) -> None:
    env = environment(tmp_path, AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(service.url))
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m ipernity_provider {command}"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (exit_code, "")


def test_airflow_prints_the_same(service: Service, tmp_path: Path) -> None:
    env = environment(tmp_path, AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(service.url))
    ours = run(env, "documents", "--format", "json")
    airflows = subprocess.run(
        ["airflow", "ipernity", "documents", "--format", "json"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ours.returncode, airflows.returncode) == (0, 0), airflows.stderr
    assert json.loads(airflows.stdout) == json.loads(ours.stdout)


# -- pairs -----------------------------------------------------------------------------------------


@pytest.fixture
def archive(service: Service, tmp_path: Path) -> dict[str, dict[str, str]]:
    """300 documents and a folder of 200 files; by kind of pair, document -> path of the file.

    The kind ``none`` has the files that belong to no document for sure.
    """
    sent, folder = tmp_path / "sent", tmp_path / "folder"
    for place in (sent, sent / "double", folder, folder / "more"):
        place.mkdir()
    service.set(permissions={"doc": "delete"})
    with service.client() as client:
        # Of the first documents, which say when they were taken, one photo is left.
        for number in (5412, 5413, 5414, 5416, 5417, 5418):
            client.call("doc.delete", doc_id=str(number))
    names = [f"IMG_{number}.png" for number in range(289)]
    old = [draw(sent / name, f"#{number:06x}") for number, name in enumerate(names)]
    doubles = [draw(sent / "double" / f"IMG_{n}.png", f"#0a{n:04x}") for n in range(10)]
    ids = service.add_documents([*old, *doubles])
    by_name = dict(zip(names, ids, strict=False))

    expected: dict[str, dict[str, str]] = {"name": {}, "md5": {}, "time": {}, "none": {}}
    for number in range(10):  # two documents have this name
        expected["none"][f"d{number}"] = str(draw(folder / names[number], f"#ff{number:04x}"))
    for number in range(10, 20):  # two files have this name
        for place in (folder, folder / "more"):
            path = draw(place / names[number], f"#ff{number:04x}")
            expected["none"][str(path)] = str(path)
    for number in range(20, 149):  # a new version
        path = draw(folder / names[number].lower(), f"#ff{number:04x}")
        expected["name"][by_name[names[number]]] = str(path)
    for number in range(149, 169):  # the same bytes under another name
        path = folder / f"renamed-{number}.png"
        shutil.copy(sent / names[number], path)
        expected["md5"][by_name[names[number]]] = str(path)
    for number in range(20):  # unknown, though of a document's size
        path = draw(folder / f"unknown-{number}.png", f"#ee{number:04x}")
        expected["none"][path.name] = str(path)
    expected["time"]["5415"] = str(photo(folder / "harbour-bw.jpg", "2023:11:14 10:00:00"))
    return expected


def test_the_right_pairs_are_proposed_and_none_where_it_is_not_clear(
    service: Service,
    connect: Connect,
    documents: Documents,
    archive: dict[str, dict[str, str]],
    tmp_path: Path,
) -> None:
    connect()
    folder = tmp_path / "folder"
    assert sum(path.is_file() for path in folder.rglob("*")) == 200
    out, err = documents("--match", str(folder), "--format", "csv")
    rows = rows_of(out)
    reasons = {
        "name": "same file name",
        "md5": "same md5: unchanged",
        "time": "same capture time",
    }
    assert {
        kind: {row["doc_id"]: row["file"] for row in rows if row["reason"] == reason}
        for kind, reason in reasons.items()
    } == {kind: archive[kind] for kind in reasons}
    assert len(rows) == 150
    assert "150 pairs. Without a partner: 150 documents, 50 files." in err
    assert "has the same file name as documents" in err

    # What is printed is the operator's manifest.
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(out)
    report = tmp_path / "report.jsonl"
    service.set(processing_seconds=0.01)
    operator = ReplaceFilesOperator(
        task_id="replace",
        manifest=str(manifest),
        report_to=str(report),
        poll_interval=0.2,
        max_parallel_uploads=4,
    )
    result = operator.execute(context())
    assert (result["total"], result["replaced"], result["unchanged"]) == (150, 130, 20)
    outcomes = {row["doc_id"]: row["outcome"] for row in map(json.loads, report.open())}
    assert {doc_id for doc_id, outcome in outcomes.items() if outcome == "unchanged"} == set(
        archive["md5"]
    )
    # Now the documents carry the files.
    again = rows_of(documents("--match", str(folder), "--format", "csv")[0])
    assert {row["reason"] for row in again} == {"same md5: unchanged"}
    assert {row["doc_id"]: row["file"] for row in again} == {
        row["doc_id"]: row["file"] for row in rows
    }


def test_only_files_that_may_have_a_documents_bytes_are_read(
    service: Service,
    connect: Connect,
    documents: Documents,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect()
    with service.client() as client:
        size = client.get_document("5416").bytes
    (tmp_path / "same-size.pdf").write_bytes(b"x" * int(size or 0))
    (tmp_path / "timetable.pdf").write_bytes(b"x" * 7)
    read: list[str] = []

    def checksum_of(path: Path) -> str:
        read.append(path.name)
        return "0" * 32

    monkeypatch.setattr("ipernity_provider.cli.documents.checksum_of", checksum_of)
    out, _ = documents("--match", str(tmp_path), "--format", "csv")
    assert read == ["same-size.pdf"]
    assert [row["doc_id"] for row in rows_of(out)] == ["5416"]


def test_without_pillow_capture_times_are_not_compared_and_that_is_said(
    service: Service,
    connect: Connect,
    documents: Documents,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect()
    photo(tmp_path / "boat.jpg", "2001:01:01 10:00:00")
    assert "another capture time" in documents("--match", str(tmp_path))[1]
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setattr("ipernity_provider.files.folder.find_spec", lambda _: None)
    out, err = documents("--match", str(tmp_path), "--format", "csv")
    assert "pip install 'airflow-provider-ipernity[exif]'" in err
    assert [(row["doc_id"], row["reason"]) for row in rows_of(out)] == [("5412", "same file name")]


def test_json_has_what_is_left_and_why(
    service: Service, connect: Connect, documents: Documents, tmp_path: Path
) -> None:
    connect()
    draw(tmp_path / "boat.jpg", "#2f6f9f")
    draw(tmp_path / "new.jpg", "#2f6f9e")
    found = json.loads(documents("--match", str(tmp_path), "--format", "json")[0])
    assert [(row["doc_id"], row["file"]) for row in found["pairs"]] == [
        ("5412", str(tmp_path / "boat.jpg"))
    ]
    left = {row["doc_id"] or row["file"]: row["reason"] for row in found["unpaired"]}
    assert left == {
        **dict.fromkeys(map(str, range(5413, 5419)), "no file matches"),
        str(tmp_path / "new.jpg"): "no document matches",
    }


@pytest.mark.parametrize(
    "name",
    ["plain.jpg", 'quo"te, comma;.jpg', "line\nbreak.jpg", "Kérity ☂.jpg", "=1+1.jpg", "tab\t.jpg"],
)
def test_any_file_name_comes_out_of_the_manifest_as_it_is(
    service: Service, connect: Connect, documents: Documents, tmp_path: Path, name: str
) -> None:
    connect()
    with service.client() as client:
        client.upload_replace(
            "5412", draw(tmp_path / "old.jpg", "#000001"), filename=name, asynchronous=False
        )
    folder = tmp_path / "folder"
    folder.mkdir()
    draw(folder / name, "#2f6f9f")
    with service.client() as client:
        stored = client.get_document("5412").filename
    out, _ = documents("--match", str(folder), "--format", "csv")
    if stored != name:  # the service changes some
        return
    (line,) = read_text(out.encode(), "csv", "manifest.csv")
    assert (line.doc_id, line.file, line.filename) == ("5412", str(folder / name), None)


@pytest.mark.parametrize("name", ["http:", "space.jpg ", "bad\udce9.jpg"])
def test_a_path_that_no_manifest_keeps_is_reported_instead(
    service: Service, connect: Connect, documents: Documents, tmp_path: Path, name: str
) -> None:
    connect()
    with service.client() as client:
        original = b"".join(client.download(str(client.get_medias("5412").original.url)))  # type: ignore[union-attr]
    path = tmp_path / name / "/boat.jpg".lstrip("/") if name == "http:" else tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(original)
    out, err = documents("--match", str(tmp_path), "--format", "csv")
    if name == "http:":
        assert len(rows_of(out)) == 1  # one slash is no address
        return
    assert rows_of(out) == []
    assert "has a path that a manifest cannot contain; rename it" in err
    assert API_KEY not in err
