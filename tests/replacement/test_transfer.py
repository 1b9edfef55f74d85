"""Where the service makes a new document, it gets what the old one has, and takes its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.details import DocumentDetails, Note, Tag, get_details
from ipernity_provider.api.errors import CredentialError, ServiceFault
from ipernity_provider.replacement.decisions import decide_unchanged
from ipernity_provider.replacement.errors import (
    Cancelled,
    NewDocument,
    Refused,
    TransferPending,
)
from ipernity_provider.replacement.memory import (
    DocumentMemory,
    FileMemory,
    Remembered,
    follow_chain,
)
from ipernity_provider.replacement.record import (
    DocumentSnapshot,
    MemoryJournal,
    Transfer,
    UploadRecord,
)
from ipernity_provider.replacement.replace import Replacement
from ipernity_provider.replacement.request import Intent, Result
from ipernity_provider.replacement.transfer import foresee, plan_transfer, transfer_lines
from tests.conftest import BOAT, Service, draw
from tests.replacement.support import Crash, FastClock, md5_of, replacement

FAMILY = (False, True, False)
PUBLIC = (True, False, False)

OLD = DocumentDetails(
    "5412",
    owner_id="1234",
    title="A boat",
    description="Two\nlines",
    license=3,
    safety=2,
    is_public=True,
    perm_comment=5,
    lat=47.65,
    lng=-2.76,
    tags=(Tag(text="boat"), Tag(text="Sea"), Tag("member", "77", "Lois")),
    notes=(Note("501", "1234", 1, 2, 3, 4, "The sail"), Note("502", "9", 1, 2, 3, 4, "Nice!")),
    albums=("201", "202"),
    groups=("401",),
)
NEW = DocumentDetails("10001", owner_id="1234", is_public=False)


# -- the plan --------------------------------------------------------------------------------------


def test_the_plan_names_everything_that_the_new_document_lacks() -> None:
    plan = plan_transfer(OLD, NEW, PUBLIC)
    assert [step.name for step in plan.steps] == [
        "title",
        "description",
        "licence",
        "safety",
        "position",
        "visibility and permissions",  # shown once nothing is left that should not be seen
        "keywords",
        "people",
        "note 501",
        "album 201",
        "album 202",
        "group 401",
    ]
    assert {step.params["doc_id"] for step in plan.steps} == {"10001"}
    assert plan.impossible.keys() == {"note 502"}  # another member's


def test_what_the_new_document_has_is_not_in_the_plan() -> None:
    same = replace(OLD, doc_id="10001", notes=OLD.notes[:1])
    plan = plan_transfer(replace(OLD, notes=OLD.notes[:1]), same, PUBLIC)
    assert plan.steps == ()
    assert plan.impossible == {}


def test_keywords_are_compared_in_any_letter_case_and_only_the_missing_are_added() -> None:
    new = replace(NEW, tags=(Tag(text="BOAT"), Tag(text="from the file")))
    steps = {step.name: step.params for step in plan_transfer(OLD, new, PUBLIC).steps}
    assert steps["keywords"] == {"keywords": ["Sea"], "doc_id": "10001"}


def test_a_keyword_with_a_comma_cannot_be_sent() -> None:
    plan = plan_transfer(DocumentDetails("1", tags=(Tag(text="a, b"),)), NEW, None)
    assert [step.name for step in plan.steps] == []
    assert "keyword 'a, b'" in plan.impossible


def test_two_equal_notes_need_two_copies() -> None:
    twice = tuple(Note(number, "1234", 1, 2, 3, 4, "x") for number in ("1", "2"))
    one = replace(NEW, notes=(Note("9", "1234", 1, 2, 3, 4, "x"),))
    steps = plan_transfer(replace(OLD, notes=twice), one, PUBLIC).steps
    assert [step.name for step in steps if step.name.startswith("note")] == ["note 2"]


def test_a_position_that_only_the_file_has_is_taken_away() -> None:
    steps = plan_transfer(DocumentDetails("1"), replace(NEW, lat=1.0, lng=2.0), None).steps
    params = {"lat": "-999", "lng": "-999", "doc_id": "10001"}
    assert [step.params for step in steps if step.name == "position"] == [params]


def test_a_new_document_that_strangers_see_is_hidden_first() -> None:
    new = replace(NEW, is_public=True)
    first, *_ = plan_transfer(replace(OLD, is_public=False), new, (False, False, False)).steps
    assert first.method == "doc.setPerms"
    assert first.params["is_public"] is False


def test_the_visibility_is_that_of_before_and_not_of_now() -> None:
    hidden = replace(OLD, is_public=False, is_family=False, is_friend=False)
    steps = {step.name: step.params for step in plan_transfer(hidden, NEW, FAMILY).steps}
    assert steps["visibility and permissions"] == {
        "is_public": False,
        "is_family": True,
        "is_friend": False,
        "perm_comment": 5,
        "doc_id": "10001",
    }


def test_a_dry_run_counts() -> None:
    text = foresee(OLD, hides=True)
    assert "title, description, licence" in text
    assert "1 note, 2 albums, 1 group" in text
    assert "Document 5412 would then become private." in text
    assert text.endswith(
        "Not transferred: note 502: another member wrote it, and here it would be yours."
    )


def test_each_line_of_the_log_fits() -> None:
    many = tuple(f"{kind} {n}" for n in range(99) for kind in ("note", "album", "group"))
    refused = {f"album {n}": "x\n" * 200 for n in range(3)}
    state = Transfer(done=("title", "keywords", *many), refused=refused, finished=True)
    lines = transfer_lines("5412", "10001", state)
    assert len(lines) <= 3 + 3
    assert all(len(line) <= 100 and line.isprintable() for line in lines)


# -- what is remembered ----------------------------------------------------------------------------


def test_a_file_keeps_what_is_known_for_its_owner_alone(tmp_path: Path) -> None:
    memory = FileMemory(tmp_path / "memory")
    known = Remembered(successor="10001", visibility=FAMILY, transferred=True, sent_md5="a" * 32)
    memory.write("5412", known)
    assert memory.read("5412") == known
    assert memory.read("5413") is None
    assert [path.stat().st_mode & 0o777 for path in memory.folder.iterdir()] == [0o600]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', '{"successor": "../x"}', '{"visibility": 5}']
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "5412.json").write_text(text)
    with pytest.raises(Refused, match=r"document 5412, and cannot be read.*Nothing was sent"):
        FileMemory(tmp_path).read("5412")


def test_a_chain_is_followed_and_a_circle_refused(tmp_path: Path) -> None:
    memory = FileMemory(tmp_path)
    for old, new in (("1", "2"), ("2", "3")):
        memory.write(old, Remembered(successor=new))
    assert [doc_id for doc_id, _ in follow_chain(memory, "1")] == ["1", "2"]
    memory.write("3", Remembered(successor="1"))
    with pytest.raises(Refused, match="lead back to document 1"):
        follow_chain(memory, "1")


def test_what_was_last_sent_counts_for_those_who_accept_rewriting() -> None:
    from ipernity_provider.files.checksums import SourceFile
    from ipernity_provider.replacement.request import ReplaceOptions

    file = SourceFile(None, "boat.jpg", 10, "a" * 32, marker="m")
    shown = DocumentSnapshot("b" * 32, 9, 1000)
    known = Remembered(sent_md5="a" * 32, shown_md5="b" * 32, shown_bytes=9, replaced_at=1000)
    accepts = ReplaceOptions(proof="changed")
    assert decide_unchanged(file, shown, accepts, known)
    assert not decide_unchanged(file, shown, ReplaceOptions(), known)
    assert not decide_unchanged(file, shown, accepts)
    assert not decide_unchanged(file, replace(shown, replaced_at=1001), accepts, known)
    assert not decide_unchanged(file, replace(shown, md5="c" * 32), accepts, known)
    assert not decide_unchanged(replace(file, md5="d" * 32), shown, accepts, known)


# -- the sandbox -----------------------------------------------------------------------------------


@pytest.fixture
def memory(tmp_path: Path) -> FileMemory:
    return FileMemory(tmp_path / "memory")


@pytest.fixture
def rich(service: Service, client: IpernityClient) -> Service:
    """The boat with something of everything; replacing makes a new document of it."""
    prepare(service, client)
    return service


def prepare(service: Service, client: IpernityClient) -> None:
    service.reset()
    service.set(replace_mode="new_document", processing_seconds=0.05)
    call = client.call
    call("doc.set", doc_id=BOAT, title="A boat, at last", description="Two\nlines & <b>more</b>")
    call("doc.setLicense", doc_id=BOAT, license=11)
    call("doc.setSafety", doc_id=BOAT, safety=2)
    call(
        "doc.setPerms",
        doc_id=BOAT,
        is_public=0,
        is_family=1,
        is_friend=1,
        perm_comment=3,
        perm_tag=1,
        perm_tagme=0,
    )
    call("doc.tags.add", doc_id=BOAT, keywords=["Überfluß", "summer"])
    for _ in range(2):
        call("doc.notes.add", doc_id=BOAT, x=1, y=2, w=30, h=40, content="Twice\nthe same")


def same_on_both(client: IpernityClient, old_id: str, new_id: str) -> None:
    """Require that the new document has what the old one has, nothing of it twice."""
    old, new = get_details(client, old_id), get_details(client, new_id)
    for name in ("title", "description", "license", "safety", "lat", "lng"):
        assert getattr(new, name) == getattr(old, name), name
    for name in ("perm_comment", "perm_tag", "perm_tagme"):
        assert getattr(new, name) == getattr(old, name), name
    tags = [sorted((tag.kind, tag.text) for tag in one.tags) for one in (old, new)]
    assert tags[0] == tags[1]
    assert sorted(n.shows for n in new.notes) == sorted(n.shows for n in old.notes)
    assert (new.albums, new.groups) == (old.albums, old.groups)
    assert len(set(new.albums)) == len(new.albums)


def entries(client: IpernityClient, new_id: str) -> list[int]:
    """How often the document is in each album and group."""
    places = [("album", "201"), ("album", "202"), ("group", "401")]
    counts = []
    for kind, place in places:
        reply = client.call(f"{kind}.docs.getList", **{f"{kind}_id": place}, per_page=100)
        listed = reply[kind]["docs"].get("doc", [])
        counts.append(sum(one["doc_id"] == new_id for one in listed))
    return counts


class MemoryOfDocuments:
    """Remembers documents for as long as the test runs."""

    def __init__(self) -> None:
        self._known: dict[str, Remembered] = {}

    def read(self, doc_id: str) -> Remembered | None:
        return self._known.get(doc_id)

    def write(self, doc_id: str, remembered: Remembered) -> None:
        self._known[doc_id] = remembered


def transferring(
    client: Any, file: Path, memory: DocumentMemory, journal: Any = None, **given: Any
) -> Replacement:
    made = replacement(client, file, journal, **{"on_new_document": "transfer", **given})
    made.memory = memory
    return made


@pytest.mark.socket
def test_everything_goes_to_the_new_document(
    rich: Service,
    client: IpernityClient,
    picture: Path,
    memory: FileMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    result = transferring(client, picture, memory).run()
    assert (result.outcome, result.doc_id, result.proof) == ("transferred", BOAT, "md5")
    new_id = str(result.new_doc_id)
    assert result.url is not None
    assert result.url.endswith(f"/{BOAT}")
    assert result.new_url is not None
    assert result.new_url.endswith(f"/{new_id}")
    same_on_both(client, BOAT, new_id)
    assert get_details(client, new_id).visibility == (False, True, True)
    assert get_details(client, BOAT).visibility == (False, False, False)
    assert entries(client, new_id) == [1, 1, 1]
    assert set(result.not_transferred) == {"comments", "favourites", "visits", "page address"}
    assert {"title", "keywords", "people", "album 201", "group 401"} <= set(result.transferred)
    assert client.get_document(BOAT).md5 != md5_of(picture)
    assert "Document 5412 is private now, with comments" in caplog.text
    assert all(len(record.message) <= 100 for record in caplog.records)
    assert "doc.delete" not in rich.calls()


@pytest.mark.socket
def test_the_old_document_may_stay_as_it_is(
    rich: Service, client: IpernityClient, picture: Path, memory: FileMemory
) -> None:
    result = transferring(client, picture, memory, on_new_document="transfer_keep").run()
    assert result.outcome == "transferred"
    assert get_details(client, BOAT).visibility == (False, True, True)


@pytest.mark.socket
def test_the_next_refreshes_go_to_the_successor(
    rich: Service, client: IpernityClient, tmp_path: Path, memory: FileMemory
) -> None:
    files = [draw(tmp_path / f"{n}.jpg", f"#10{40 * n:02x}50") for n in range(4)]
    first, second = (transferring(client, file, memory).run() for file in files[:2])
    assert (second.outcome, second.doc_id) == ("transferred", BOAT)
    assert [entry["doc_id"] for entry in rich.ledger()] == [BOAT, first.new_doc_id]
    same_on_both(client, BOAT, str(second.new_doc_id))
    assert get_details(client, str(first.new_doc_id)).visibility == (False, False, False)
    assert get_details(client, str(second.new_doc_id)).visibility == (False, True, True)
    rich.set(replace_mode="in_place")
    third = transferring(client, files[2], memory).run()
    assert (third.outcome, third.doc_id) == ("replaced", BOAT)
    assert third.new_doc_id == second.new_doc_id
    again = transferring(client, files[2], memory).run()
    assert (again.outcome, again.new_doc_id) == ("unchanged", second.new_doc_id)
    assert len(rich.ledger()) == 3


@pytest.mark.socket
def test_a_retry_after_the_end_reports_the_same(
    rich: Service, client: IpernityClient, picture: Path, memory: FileMemory
) -> None:
    journal, intent = MemoryJournal(), Intent("1")
    first = transferring(client, picture, memory, journal, intent=intent).run()
    record = journal.read()
    assert record is not None
    stored = UploadRecord.from_json(asdict(record))
    assert stored == record
    assert transferring(client, picture, memory, journal, intent=intent).run() == first
    cleared = transferring(client, picture, memory, journal, intent=Intent("2")).run()
    assert (cleared.outcome, cleared.new_doc_id) == ("unchanged", first.new_doc_id)
    assert len(rich.ledger()) == 1


@pytest.mark.socket
def test_another_file_of_the_same_try_goes_to_the_successor(
    rich: Service, client: IpernityClient, picture: Path, other_picture: Path, memory: FileMemory
) -> None:
    journal = MemoryJournal()
    first = transferring(client, picture, memory, journal).run()
    second = transferring(client, other_picture, memory, journal).run()
    assert rich.ledger()[1]["doc_id"] == first.new_doc_id
    assert second.outcome == "transferred"


@pytest.mark.socket
@pytest.mark.parametrize("method", ["doc.setSafety", "doc.notes.add", "album.docs.add"])
def test_a_step_that_is_refused_is_listed_and_the_others_go_on(
    rich: Service, client: IpernityClient, picture: Path, memory: FileMemory, method: str
) -> None:
    rich.set(faults=[{"method": method, "times": 99, "kind": "code:109"}])
    result = transferring(client, picture, memory).run()
    assert result.outcome == "transferred"
    refused = [why for why in result.not_transferred.values() if method in why]
    assert refused
    assert all("code 109" in why for why in refused)
    assert get_details(client, str(result.new_doc_id)).groups == ("401",)
    assert get_details(client, BOAT).visibility == (False, False, False)


@pytest.mark.socket
def test_where_nobody_would_see_the_new_document_the_old_one_stays(
    rich: Service, client: IpernityClient, picture: Path, memory: FileMemory
) -> None:
    rich.set(faults=[{"method": "doc.setPerms", "times": 99, "kind": "code:109"}])
    result = transferring(client, picture, memory).run()
    assert "is not seen by those" in result.not_transferred["old document private"]
    assert get_details(client, BOAT).visibility == (False, True, True)


@pytest.mark.socket
@pytest.mark.parametrize(
    ("kind", "error"), [("code:107", CredentialError), ("code:500", ServiceFault)]
)
def test_what_a_retry_or_a_person_can_mend_ends_the_try(
    rich: Service,
    client: IpernityClient,
    picture: Path,
    memory: FileMemory,
    kind: str,
    error: type[Exception],
) -> None:
    rich.set(faults=[{"method": "doc.setLicense", "times": 1, "kind": kind}])
    journal = MemoryJournal()
    with pytest.raises(error):
        transferring(client, picture, memory, journal).run()
    assert get_details(client, BOAT).visibility == (False, True, True)
    result = transferring(client, picture, memory, journal).run()
    assert result.outcome == "transferred"
    same_on_both(client, BOAT, str(result.new_doc_id))
    assert len(rich.ledger()) == 1


@pytest.mark.socket
def test_without_a_memory_nothing_is_sent(
    rich: Service, client: IpernityClient, picture: Path
) -> None:
    with pytest.raises(Refused, match=r"needs a memory.*Nothing was sent"):
        replacement(client, picture, on_new_document="transfer").run()
    assert rich.ledger() == []


@pytest.mark.socket
def test_a_second_new_document_of_the_same_one_is_not_given_anything(
    rich: Service, client: IpernityClient, picture: Path, memory: FileMemory
) -> None:
    """Another task has transferred it meanwhile."""
    started = transferring(client, picture, memory)
    record = started.start()
    assert isinstance(record, UploadRecord)
    memory.write(BOAT, Remembered(successor="10099", transferred=True))
    with pytest.raises(NewDocument, match="10099 has taken before"):
        started.finish(record, started.wait(record))


@pytest.mark.socket
def test_a_transfer_of_another_task_is_waited_for_until_its_claim_is_over(
    rich: Service, client: IpernityClient, picture: Path, other_picture: Path, memory: FileMemory
) -> None:
    first = transferring(client, picture, memory).run()
    known = memory.read(BOAT)
    assert known is not None
    claimed = replace(known, transferred=False, owner="another", claimed_at=time.time())
    memory.write(BOAT, claimed)
    with pytest.raises(TransferPending, match=r"Another process is transferring document 5412 to"):
        transferring(client, other_picture, memory).run()
    assert len(rich.ledger()) == 1
    memory.write(BOAT, replace(claimed, claimed_at=time.time() - 30))
    result = transferring(client, other_picture, memory).run()
    assert rich.ledger()[1]["doc_id"] == first.new_doc_id
    assert result.outcome == "transferred"
    finished = memory.read(BOAT)
    assert finished is not None
    assert (finished.transferred, finished.owner) == (True, "")


class SlowMemory(MemoryOfDocuments):
    """Lets time pass whenever a transfer is claimed."""

    def __init__(self, clock: FastClock, seconds: float) -> None:
        super().__init__()
        self._clock = clock
        self.seconds = seconds
        self.claims = 0

    def write(self, doc_id: str, remembered: Remembered) -> None:
        super().write(doc_id, remembered)
        if remembered.owner:
            self.claims += 1
            self._clock.skip(self.seconds)


@pytest.mark.socket
@pytest.mark.parametrize("seconds", [10.0, 30.0])
def test_a_claim_is_renewed_and_ends_the_process_that_slept_longer(
    rich: Service, client: IpernityClient, picture: Path, seconds: float
) -> None:
    clock, journal = FastClock(), MemoryJournal()
    memory = SlowMemory(clock, seconds)
    made = transferring(client, picture, memory, journal, clock=clock)
    if seconds < 20.0:
        result = made.run()
        assert memory.claims > 3
    else:
        with pytest.raises(Cancelled, match="suspended during a transfer"):
            made.run()
        memory.seconds = 0.0
        result = made.run()
    require_once(rich, client, result)


@pytest.mark.socket
def test_what_another_task_has_transferred_stays_as_it_is(
    rich: Service, client: IpernityClient, picture: Path, memory: FileMemory
) -> None:
    """As where a third document has taken the place of the new one, which is private by then."""
    journal = MemoryJournal()
    made = transferring(client, picture, memory, journal)
    record = made.start()
    assert isinstance(record, UploadRecord)
    ticket = made.wait(record)
    new_id = str(ticket and ticket.doc_id)
    memory.write(BOAT, Remembered(successor=new_id, visibility=FAMILY, transferred=True))
    client.call("doc.setPerms", doc_id=new_id, is_public=0, is_family=0, is_friend=0)
    result = made.finish(record, ticket)
    assert result is not None
    assert (result.outcome, result.new_doc_id) == ("transferred", new_id)
    assert get_details(client, new_id).visibility == (False, False, False)
    assert get_details(client, new_id).notes == ()


@pytest.mark.socket
def test_a_dry_run_says_what_would_be_transferred(
    rich: Service, client: IpernityClient, picture: Path, memory: FileMemory
) -> None:
    result = transferring(client, picture, memory, dry_run=True).run()
    assert result.outcome == "planned"
    assert "3 notes, 2 albums, 1 group" in result.reason
    assert rich.ledger() == []
    assert memory.read(BOAT) is None


@pytest.mark.socket
def test_rewritten_bytes_are_unchanged_the_next_night(
    service: Service, client: IpernityClient, picture: Path, other_picture: Path, memory: FileMemory
) -> None:
    service.set(rewrite_bytes=True)
    how: dict[str, Any] = {"proof": "changed", "on_new_document": "fail"}
    assert transferring(client, picture, memory, **how).run().outcome == "replaced"
    again = transferring(client, picture, memory, **how).run()
    assert (again.outcome, again.proof) == ("unchanged", "changed")
    assert len(service.ledger()) == 1
    for file in (other_picture, picture):
        time.sleep(1.1)  # the dates of replacements are whole seconds
        assert transferring(client, file, memory, **how).run().outcome == "replaced"
    assert len(service.ledger()) == 3


# -- crashes ---------------------------------------------------------------------------------------


class Crashing:
    """Ends the process before or after one of an object's calls, counted over all of them."""

    def __init__(self, kept: Any, moments: Iterator[bool]) -> None:
        self._kept = kept
        self._moments = moments

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self._kept, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if next(self._moments):
                raise Crash
            answer = method(*args, **kwargs)
            if next(self._moments):
                raise Crash
            return answer

        return call


class Tries:
    """Tries of one task, of which one crashes at a moment after its upload was proven."""

    def __init__(self, client: IpernityClient, memory: FileMemory) -> None:
        self._client, self._memory = client, memory
        self.journal = MemoryJournal()
        self.moments = 0
        self.crash_at = -1
        self._began = False

    def _moment(self) -> Iterator[bool]:
        while True:
            record = self.journal.read()
            if record and record.proven:
                self.moments += 1
            yield self.moments == self.crash_at and bool(record and record.proven)

    def run(self, file: Path) -> Result:
        moments = self._moment()
        client, journal, memory = (
            Crashing(kept, moments) for kept in (self._client, self.journal, self._memory)
        )
        made = transferring(client, file, cast("FileMemory", memory), journal)
        return made.run()


@pytest.mark.socket
def test_a_crash_at_every_step_repeats_nothing(
    rich: Service, client: IpernityClient, tmp_path: Path
) -> None:
    """Before and after each call of the service, the journal and the memory."""
    crash_at, crashed = 1, 0
    while True:
        prepare(rich, client)
        file = draw(tmp_path / f"{crash_at}.jpg", f"#{crash_at:06x}")
        tries = Tries(client, FileMemory(tmp_path / str(crash_at)))
        tries.crash_at = crash_at
        try:
            result = tries.run(file)
        except Crash:
            crashed += 1
            result = tries.run(file)
        else:
            if tries.moments < crash_at:
                break
        require_once(rich, client, result)
        crash_at += 1
    assert crashed > 60


def require_once(service: Service, client: IpernityClient, result: Result) -> None:
    assert len(service.ledger()) == 1
    assert result.outcome == "transferred"
    new_id = str(result.new_doc_id)
    same_on_both(client, BOAT, new_id)
    assert entries(client, new_id) == [1, 1, 1]
    assert get_details(client, new_id).visibility == (False, True, True)
    assert get_details(client, BOAT).visibility == (False, False, False)
