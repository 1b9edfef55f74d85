"""The simulation finds faults: a rule is taken out, and a short history shows what happens then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ipernity_provider.replacement import decisions, prove, resume, upload
from ipernity_provider.replacement.decisions import Arrival, Resume, TicketMeaning
from ipernity_provider.replacement.preflight import locate
from ipernity_provider.replacement.succession import Succession
from ipernity_provider.replacement.transfer import Transferring
from tests.simulation import service
from tests.simulation.exploring import explore
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.service import Rules
from tests.simulation.world import Scenario, Violation, World, options

Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def without_log() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _instead(place: Any, name: str, wrap: Callable[[Any], Any]) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(place, name, wrap(getattr(place, name)))


def _maps(old: object, new: object) -> Callable[[Any], Any]:
    """Wrap a decision: one of its answers becomes another one."""

    def wrap(decide: Any) -> Any:
        def decided(*args: Any) -> Any:
            answer = decide(*args)
            return new if answer is old else answer

        return decided

    return wrap


def _forgotten_answer(error_of: Any) -> Any:
    def lost_answer(fate: str) -> Any:
        error = error_of(fate)
        error.maybe_accepted = "page" not in fate and "busy" not in fate
        return error

    return lost_answer


def _any_new_document_is_ours(reconcile: Any) -> Any:
    def claiming(self: Any, record: Any, *, until: float | None = None) -> Any:
        arrival, resulting = locate(self.client, record)
        if arrival is Arrival.NEW_DOCUMENT:
            return replace(record, result_id=resulting, complete=True)
        return reconcile(self, record, until=until)

    return claiming


def _without_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload.Uploader, "_after_block", lambda *_: None)
    monkeypatch.setattr(upload.Uploader, "_before_last_block", lambda *_: None)


def _steps_not_kept(take: Any) -> Any:
    def taken(self: Any, step: Any) -> None:
        state = self._state
        self.keep, keep = lambda _: None, self.keep
        take(self, step)
        self._state, self.keep = state, keep

    return taken


def _claiming_always(_: Any) -> Any:
    def claimed(self: Any, old_id: str, known: Any) -> Any:
        known = replace(known, owner=self.owner, claimed_at=self.clock.time())
        self.memory.write(old_id, known)
        return known

    return claimed


def _not_looked_for_again(find: Any) -> Any:
    def found(replacement: Any, until: str | None = None, *, changes: bool) -> None:
        known = replacement.known
        if until or known is None or known.proven:
            find(replacement, until, changes=changes)

    return found


def _never(_: Any) -> Any:
    return lambda *args: Resume.START


SHOWN = "; the service replaces, md5 shown"
HIDDEN = "; the service replaces, md5 hidden"
TRANSFERS = "; the service creates documents, transferred"
STRICT = Scenario(
    "two writers", tasks=(("1", "X"), ("1", "Y")), strict=True, crashes=False, lost_answers=False
)

FAULTS: dict[str, tuple[Patch | None, Scenario]] = {
    "a date that has moved is proof enough: somebody else's bytes are there": (
        None,
        replace(STRICT, rules=Rules(processing=30), options=options(proof="changed")),
    ),
    "a size is proof enough where no checksum is shown": (
        _instead(
            prove,
            "observe",
            lambda observe: lambda client, doc_id, md5: observe(client, doc_id, None),
        ),
        replace(STRICT, rules=Rules(processing=30, shows_md5=False)),
    ),
    "an invalid ticket is judged by the document's date": (
        _instead(prove, "interpret_ticket", _maps(TicketMeaning.INVALID, TicketMeaning.IN_PLACE)),
        replace(
            STRICT, tasks=(("1", "X"),), rules=Rules(invalid=True), options=options(proof="changed")
        ),
    ),
    "a page of a front, or a busy service, counts as refused": (
        _instead(service, "lost_answer", _forgotten_answer),
        SCENARIOS["one writer, cleared" + HIDDEN],
    ),
    "what an earlier try has sent is not resumed": (
        _instead(resume, "decide_resume", _never),
        SCENARIOS["one writer, cleared" + HIDDEN],
    ),
    "the journal of a map is kept by position": (
        _instead(
            resume,
            "decide_resume",
            lambda decide: _maps(Resume.LOOK, Resume.START)(
                _maps(Resume.ASSUME, Resume.START)(decide)
            ),
        ),
        SCENARIOS["a map changes its order; the service creates documents, md5 shown"],
    ),
    "the journal is not read while the file is sent": (
        _without_guard,
        SCENARIOS["one writer freezes" + SHOWN],
    ),
    "a new document with these bytes counts as one's own": (
        _instead(upload.Uploader, "reconcile", _any_new_document_is_ours),
        SCENARIOS["one file for two documents; the service creates documents, kept, md5 shown"],
    ),
    "the steps of a transfer are not kept in the journal": (
        _instead(Transferring, "_take", _steps_not_kept),
        SCENARIOS["one writer, somebody tidies" + TRANSFERS + ", md5 shown"],
    ),
    "two tasks take the steps of one transfer": (
        _instead(Succession, "_claim", _claiming_always),
        SCENARIOS["two writers, one after the other" + TRANSFERS + ", md5 shown"],
    ),
    "a transfer that a cleared task has not finished is forgotten": (
        _instead(decisions, "_is_unfinished", lambda _: lambda *_: False),
        SCENARIOS["one writer, cleared" + TRANSFERS + ", md5 hidden"],
    ),
    "what did not arrive is sent again to a document that has a successor by now": (
        _instead(resume, "_find_target", _not_looked_for_again),
        replace(SCENARIOS["two writers" + TRANSFERS + ", md5 shown"], lost_answers=False, clears=0),
    ),
    "a ticket in hand is given up when it cannot be stored": (
        lambda monkeypatch: monkeypatch.setattr(upload, "STORE_TICKET_SECONDS", 0.0),
        Scenario(
            "slow service, the journal fails for a while",
            rules=Rules(processing=240.0),
            options=options(resend_grace=45.0),
            journal_outage=50.0,
            crashes=False,
            lost_answers=False,
            strict=True,
        ),
    ),
}


def first_violation(scenario: Scenario, histories: int = 4000) -> Violation | None:
    try:
        for _ in explore(scenario, deviations=3, limit=histories):
            pass
    except Violation as violation:
        return violation
    return None


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_told_in_a_short_history(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch, scenario = FAULTS[fault]
    if patch:
        assert first_violation(scenario, 400) is None, "the rule is in place"
        patch(monkeypatch)
    violation = first_violation(scenario)
    assert violation is not None
    script = violation.__notes__[0]
    assert script.startswith(f"replay({scenario.name!r}")
    assert script.count(" -> ") < 25  # short enough to be read
    print(f"\n{fault}: {violation}\n{script}")


def test_the_world_ends() -> None:
    assert isinstance(next(iter(explore(SCENARIOS["two writers" + SHOWN], deviations=0))), World)
