"""Histories: processes that run the real core, interleaved at I/O, with crashes and clears.

A history is a list of choices. Where nothing is said, the first option is taken: nothing goes
wrong, and a process runs until it waits. :mod:`.exploring`
says which histories are run.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, cast

from greenlet import GreenletExit, getcurrent, greenlet

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import PermanentError, TransientError
from ipernity_provider.files.checksums import SourceFile
from ipernity_provider.replacement.errors import Cancelled, NotVerified
from ipernity_provider.replacement.memory import Remembered
from ipernity_provider.replacement.record import UploadRecord
from ipernity_provider.replacement.replace import Replacement
from ipernity_provider.replacement.request import Intent, ReplaceOptions, ReplaceRequest, Result
from tests.simulation.details import (
    Fact,
    ModelMemory,
    chain_of,
    change,
    what_is_wrong,
    wrongly_seen,
)
from tests.simulation.journal import ModelClock, ModelJournal
from tests.simulation.service import (
    FILE_BYTES,
    AcceptedUpload,
    ModelClient,
    Rules,
    Service,
    md5_of,
)

_MOST_STEPS = 3000
_RETRY_DELAY = 60.0
_FROZEN_FOR = 2000.0


def options(**changes: Any) -> ReplaceOptions:
    """Return options for a history: no account check, and a short grace for short histories."""
    return ReplaceOptions(**{"check_account": False, "resend_grace": 90.0, **changes})


class Violation(AssertionError):
    """An invariant does not hold in a history."""


@dataclass(frozen=True)
class Scenario:
    """What happens in a history besides accidents.

    :param tasks: document and file of each task; the tasks run at the same time.
    :param second_starts: when the second task starts, in seconds after the first one.
    :param retries: of each task.
    :param clears: how often the run may be cleared once all tasks have ended.
    :param reorder: whether a cleared run has its mapped tasks in reverse order.
    :param refresh: the file of the tasks once their run was cleared; empty: the same as before.
    :param edits: what somebody else may do: document and content.
    :param tidies: whether somebody may take a note away from a new document.
    :param crashes: whether processes may die, at most one per history and task.
    :param freezes: whether processes may freeze, and thaw after their task counts as lost.
    :param journal: whether there is a journal; without one, as before Airflow 3.3.
    :param journal_outage: whether the journal may fail, for this many seconds.
    :param flaky_reads: whether reading calls may go without an answer.
    :param fenced: whether the journal refuses a process whose task has begun another try, as
        Airflow's does.
    :param lost_answers: whether uploads may end otherwise than with a ticket.
    :param strict: whether any green must mean that the document carried the bytes, whatever proof
        was demanded, and no second upload counts as a documented gap.
    """

    name: str
    rules: Rules = field(default_factory=Rules)
    options: ReplaceOptions = field(default_factory=options)
    tasks: tuple[tuple[str, str], ...] = (("1", "X"),)
    second_starts: float = 0.0
    retries: int = 2
    clears: int = 0
    reorder: bool = False
    refresh: str = ""
    edits: tuple[tuple[str, str], ...] = ()
    tidies: bool = False
    crashes: bool = True
    freezes: bool = False
    journal: bool = True
    journal_outage: float = 0.0
    flaky_reads: bool = False
    lost_answers: bool = True
    fenced: bool = True
    strict: bool = False


@dataclass
class Task:
    """One task instance, and its journal."""

    name: str
    doc_id: str
    content: str
    tries: int = 0
    tries_left: int = 0
    intent: int = 0
    record: UploadRecord | None = None
    #: Whether a process that had been frozen has written over a newer record: a gap of journals
    #: without a fence.
    stale_record: bool = False
    newest: Process | None = None
    ended: Result | Exception | None = None
    next_try_at: float | None = 0.0
    may_crash: bool = True


@dataclass
class Process:
    """One try of a task."""

    task: Task
    intent: str
    run: greenlet = field(default=cast("greenlet", None))
    wakes_at: float = 0.0
    #: What each document carried when this process last looked at it.
    looked_at: dict[str, str] = field(default_factory=dict)
    dead: bool = False
    frozen: bool = False
    #: The time when it last had the journal in hand.
    fenced_at: float = 0.0
    #: Documents that had successors when it began: to them, nothing is sent any more.
    succeeded: list[str] = field(default_factory=list)
    #: What its last writing call has added, and to which document.
    added: list[tuple[str, Fact]] = field(default_factory=list)


class World:
    """Runs one history."""

    def __init__(
        self, scenario: Scenario, script: dict[int, int], rng: random.Random | None = None
    ) -> None:
        self.scenario = scenario
        self.script = script
        self.rng = rng
        self.choices: list[tuple[int, int, str]] = []
        documents = sorted({doc_id for doc_id, _ in scenario.tasks})
        self.service = Service(scenario.rules, documents)
        self.tasks = [
            Task(f"task{number}", doc_id, content, tries_left=scenario.retries + 1)
            for number, (doc_id, content) in enumerate(scenario.tasks)
        ]
        for task in self.tasks[1:]:
            task.next_try_at = self.service.now + scenario.second_starts
        self.processes: list[Process] = []
        self.edits = list(scenario.edits)
        self.clears = scenario.clears
        self.journal_fails_until = 0.0
        self.may_fail = bool(scenario.journal_outage)
        self.events: list[str] = []
        #: Document and file of what a task has reported as done, or as not to be verified.
        self.reported: set[tuple[str, str]] = set()
        self.kept: dict[str, str] = {}
        self.memory: dict[str, Remembered] = {}
        #: What was added for an intent, as far as its process has gone on since.
        self.added: set[tuple[str, str, Fact]] = set()
        self.removed: set[Fact] = set()
        self.may_tidy = scenario.tidies
        #: Whether two processes have written of one document to the memory at the same moment.
        self.raced = False
        self._last: Process | None = None

    # -- choices -----------------------------------------------------------------------------------

    def choose(self, options: int, label: str) -> int:
        """Return which option is taken here; the first one unless the history says otherwise."""
        place = len(self.choices)
        chosen = self.script.get(place, 0)
        if self.rng and self.rng.random() < 0.15:
            chosen = self.rng.randrange(options)
        if chosen >= options:
            chosen = 0
        self.choices.append((options, chosen, label))
        return chosen

    # -- what the processes call -------------------------------------------------------------------

    def boundary(self, process: Process, label: str) -> None:
        """Let the others go first, or the process die or freeze, before it goes on."""
        if process.dead:
            raise GreenletExit
        scenario, task = self.scenario, process.task
        if scenario.crashes and task.may_crash and self.choose(2, f"{task.name} dies: {label}"):
            task.may_crash = False
            self._lost(process, "dies")
            process.dead = True
            self.hub.switch()
            raise GreenletExit
        if scenario.freezes and task.may_crash and self.choose(2, f"{task.name} freezes: {label}"):
            task.may_crash = False
            process.frozen = True
            self._lost(process, "freezes")
            process.wakes_at = self.service.now + _FROZEN_FOR
        elif self._is_alone(process):
            return
        self.hub.switch()
        if process.dead:
            raise GreenletExit

    def _is_alone(self, process: Process) -> bool:
        now = self.service.now
        return (
            not self._somebody_may_act()
            and not any(p.wakes_at <= now and p is not process for p in self.processes)
            and not any(t.next_try_at is not None and t.next_try_at <= now for t in self.tasks)
        )

    def sleep(self, process: Process, seconds: float) -> None:
        process.wakes_at = self.service.now + max(seconds, 0.01)
        if self._is_next(process):
            self.service.now = process.wakes_at
            return
        self.hub.switch()
        if process.dead:
            raise GreenletExit

    def _is_next(self, process: Process) -> bool:
        until = process.wakes_at
        return (
            not self._somebody_may_act()
            and not any(p.wakes_at <= until and p is not process for p in self.processes)
            and not any(t.next_try_at is not None and t.next_try_at <= until for t in self.tasks)
        )

    def accepted(self, process: Process, upload: AcceptedUpload) -> None:
        """Take note of an accepted upload: never two of one intent, none to a document of old."""
        self.events.append(
            f"{self.service.now:.0f} accepted {upload.ticket}: {process.task.name} {upload.content}"
        )
        for earlier in self.service.uploads[:-1]:
            same = (earlier.asked_for, earlier.content) == (upload.asked_for, upload.content)
            if same and self._is_double(earlier, upload):
                raise Violation(f"{upload.content} was sent to document {upload.doc_id} twice")
        if upload.doc_id in process.succeeded and not upload.slept_before_last_block:
            raise Violation(
                f"{upload.content} was sent to document {upload.doc_id}, which has a successor"
            )

    def changed(
        self, process: Process, method: str, params: dict[str, Any], *, answered: bool
    ) -> None:
        """Take note of a step of a transfer: nothing is added twice, and nothing is deleted."""
        doc_id = params["doc_id"]
        details = self.service.documents[doc_id].details
        before = set(details.facts)
        self.events.append(f"{self.service.now:.0f} {process.task.name}: {method} {doc_id}")
        try:
            facts = change(details, method, params)
        except LookupError:
            raise Violation(f"{method} was called") from None
        # The documented gaps: it slept between its last look at the journal and the call; two have
        # claimed the transfer at once.
        slept = self.service.now > process.fenced_at or self.raced
        if slept or any(task.stale_record for task in self.tasks):
            details.facts = list(dict.fromkeys(details.facts))
            return
        if doubled := before.intersection(facts):
            raise Violation(f"document {doc_id} got {doubled} twice")
        for fact in facts:
            if (process.intent, doc_id, fact) in self.added:
                raise Violation(f"document {doc_id} got {fact} again, which somebody took away")
        process.added = [(doc_id, fact) for fact in facts] if answered else []

    def goes_on(self, process: Process) -> None:
        """Take note that a process has come to its next call."""
        self.added |= {(process.intent, *added) for added in process.added}
        process.added = []

    def _is_double(self, earlier: AcceptedUpload, upload: AcceptedUpload) -> bool:
        if self.scenario.strict:
            return True
        if (
            earlier.state == "invalid"
            or earlier.slept_before_last_block
            or upload.slept_before_last_block
        ):
            return False
        if self.scenario.options.on_uncertain == "send":
            return False
        # The documented gaps: no answer, and processing that takes longer than the grace; a run
        # that is cleared and re-ordered while an upload of another of its tasks is still being
        # processed; a journal without a fence.
        if any(task.stale_record for task in self.tasks):
            return False
        if self.scenario.rules.processing > self.scenario.options.resend_grace:
            return False
        if self.scenario.reorder and earlier.state == "processing":
            return False
        same_intent = earlier.intent == upload.intent
        reported = (earlier.asked_for, earlier.content) in self.reported
        overwritten = (
            earlier.state == "done"
            and earlier.result_id == earlier.doc_id
            and self.service.documents[earlier.doc_id].content.rstrip("~") != earlier.content
        )
        return same_intent or not (reported or overwritten)

    # -- the run -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the history to its end.

        :raises Violation: an invariant does not hold.
        """
        self.hub = getcurrent()
        try:
            for _ in range(_MOST_STEPS):
                if not self._step():
                    break
            else:
                raise Violation("the history does not end")
            self._check_nothing_forgotten()
            self._check_visibility()
        finally:
            for process in self.processes:
                process.dead = True
                process.run.throw()

    def _step(self) -> bool:
        now = self.service.now
        self._start_tries(now)
        self.processes = [p for p in self.processes if not p.dead and not p.run.dead]
        awake = [p for p in self.processes if p.wakes_at <= now]
        if self._last in awake:  # without a deviation a process runs until it waits
            awake.remove(self._last)
            awake.insert(0, self._last)
        if self.edits and awake and self.choose(2, f"somebody replaces {self.edits[0]}"):
            doc_id, content = self.edits.pop(0)
            self.service.settle()
            self.service.replace(doc_id, content, "edited.jpg", now)
            self.events.append(f"{now:.0f} somebody replaces document {doc_id} by {content}")
        if awake and (noted := self._noted()) and self.choose(2, f"somebody tidies {noted}"):
            details = self.service.documents[noted].details
            self.removed |= {fact for fact in details.facts if fact[0] == "note"}
            details.facts = [fact for fact in details.facts if fact[0] != "note"]
            self.may_tidy = False
            self.events.append(f"{now:.0f} somebody takes the note away from document {noted}")
        if awake:
            chosen = awake[
                self.choose(len(awake), "runs: " + ", ".join(p.task.name for p in awake))
                if len(awake) > 1
                else 0
            ]
            self._last = chosen
            chosen.run.switch()
            return True
        waits = [p.wakes_at for p in self.processes]
        waits += [t.next_try_at for t in self.tasks if t.next_try_at is not None]
        if waits:
            self.service.now = max(now, min(waits))
            return True
        if self.clears:
            self.clears -= 1
            self._clear()
            return True
        return False

    def _somebody_may_act(self) -> bool:
        return bool(self.edits or self._noted())

    def _noted(self) -> str:
        """Return a new document from which somebody may take a note away; empty without one."""
        if not self.may_tidy:
            return ""
        noted = (d.doc_id for d in self.service.documents.values() if d.details.all_of("note"))
        return next((doc_id for doc_id in noted if doc_id.startswith("9")), "")

    def _start_tries(self, now: float) -> None:
        for task in self.tasks:
            if task.next_try_at is not None and task.next_try_at <= now:
                task.next_try_at = None
                task.tries_left -= 1
                task.tries += 1
                process = Process(task, f"{task.doc_id}/{task.content}/{task.intent}")
                process.wakes_at = process.fenced_at = now
                process.succeeded = chain_of(self.memory, task.doc_id)[:-1]
                process.run = greenlet(lambda process=process: self._try(process), self.hub)
                self.processes.append(process)
                task.newest = process
                self.events.append(f"{now:.0f} {task.name} tries {task.content} -> {task.doc_id}")

    def _try(self, process: Process) -> None:
        task, scenario = process.task, self.scenario
        file = SourceFile(
            source=task.content,
            name=f"{task.content}.jpg",
            size=FILE_BYTES,
            md5=md5_of(task.content),
            media="photo",
            marker=task.content,
        )
        replacement = Replacement(
            cast("IpernityClient", ModelClient(self, process)),
            ReplaceRequest(doc_id=task.doc_id, file=task.content),
            scenario.options,
            ModelJournal(self, process),
            Intent(
                str(task.intent),
                since=1_000_000.0,
                without_journal=not scenario.journal and task.tries > 1,
                others_cleared=len(self.tasks) > 1 and task.intent > 0,
            ),
            progress=lambda sent, size: None,
            clock=ModelClock(self, process),
            memory=ModelMemory(self, process) if scenario.options.transfers else None,
        )
        try:
            result = replacement.run(file)
        except GreenletExit:
            return
        except (TransientError, Cancelled, ConnectionError) as error:
            self._failed(process, error, final=False)
        except PermanentError as error:
            self._failed(process, error, final=True)
        else:
            self._green(process, result)

    def _green(self, process: Process, result: Result) -> None:
        task = process.task
        self.events.append(
            f"{self.service.now:.0f} {task.name} is green: {result.outcome}, proof {result.proof}"
        )
        self._check_green(process, result)
        self.reported.add((task.doc_id, task.content))
        if not process.frozen:
            task.ended = result

    def _failed(self, process: Process, error: Exception, *, final: bool) -> None:
        task = process.task
        self.events.append(
            f"{self.service.now:.0f} {task.name} fails: {type(error).__name__}: {error}"[:300]
        )
        if process.frozen:
            return
        task.ended = error
        if isinstance(error, NotVerified):
            self.reported.add((task.doc_id, task.content))
        if not final:
            task.next_try_at = self.service.now + _RETRY_DELAY if task.tries_left else None

    def _lost(self, process: Process, how: str) -> None:
        self.events.append(f"{self.service.now:.0f} {process.task.name} {how}")
        process.task.next_try_at = (
            self.service.now + _RETRY_DELAY if process.task.tries_left else None
        )

    def _clear(self) -> None:
        contents = [(task.doc_id, task.content) for task in self.tasks]
        if self.scenario.reorder:
            contents.reverse()
        if self.scenario.refresh:
            contents = [(doc_id, self.scenario.refresh) for doc_id, _ in contents]
        self.events.append(f"{self.service.now:.0f} the run is cleared")
        for task, (doc_id, content) in zip(self.tasks, contents, strict=True):
            task.doc_id, task.content = doc_id, content
            task.intent += 1
            task.tries = 0
            task.tries_left = self.scenario.retries + 1
            task.ended = None
            task.next_try_at = self.service.now + 5.0
        self.service.now += 5.0

    # -- invariants --------------------------------------------------------------------------------

    def _check_green(self, process: Process, result: Result) -> None:
        """Green means the document carried these bytes at the moment of proof."""
        task = process.task
        if result.outcome in {"new_document", "transferred"}:
            stored = self.service.documents[str(result.new_doc_id)].content
            if stored.rstrip("~") != task.content:
                raise Violation(f"green by document {result.new_doc_id}, which carries {stored}")
            owner = self.kept.setdefault(str(result.new_doc_id), task.doc_id)
            maker = next(u for u in self.service.uploads if u.result_id == result.new_doc_id)
            if owner != task.doc_id or maker.asked_for != task.doc_id:
                raise Violation(
                    f"green by document {result.new_doc_id}, which another upload has made"
                )
            if result.outcome == "transferred":
                self._check_transferred(maker.doc_id, str(result.new_doc_id))
            return
        if result.outcome not in {"replaced", "unchanged"} or result.proof is None:
            return
        carrier = result.new_doc_id or task.doc_id
        if carrier not in process.looked_at:
            return  # proven by an earlier try of this intent
        stored = process.looked_at[carrier]
        right = {
            "md5": stored == task.content,
            "bytes": len(stored.rstrip("~")) == len(task.content),
            "changed": not stored.startswith("old"),
        }
        if self.scenario.strict and stored.rstrip("~") != task.content:
            raise Violation(f"green by {result.proof}, but document {carrier} carried {stored}")
        if not right[result.proof]:
            raise Violation(f"green by {result.proof}, but document {carrier} carried {stored}")

    def _check_transferred(self, old_id: str, new_id: str) -> None:
        """A new document has what the old one had, and is found in its place."""
        documents = self.service.documents
        wrong = what_is_wrong(documents[old_id].details, documents[new_id].details, self.removed)
        if wrong:
            raise Violation(f"green by document {new_id}, which {wrong}")
        if new_id not in chain_of(self.memory, old_id) and not self.raced:
            raise Violation(f"green by document {new_id}, which later runs do not find")
        self._check_visibility()

    def _check_visibility(self) -> None:
        shown = {d.doc_id: d.details.visibility for d in self.service.documents.values()}
        if wrong := wrongly_seen(self.memory, shown):
            raise Violation(wrong)

    def _check_nothing_forgotten(self) -> None:
        """What was accepted is named by how its task ended, or is what the task says."""
        for upload in self.service.uploads:
            wanted = upload.asked_for, upload.content
            task = next((t for t in self.tasks if (t.doc_id, t.content) == wanted), None)
            if task is None:  # its run was cleared, and has another file now
                continue
            if task.ended is None:
                raise Violation(f"{task.name} has no end")
            elsewhere = (
                upload.result_id not in {None, upload.doc_id} and not upload.slept_before_last_block
            )
            if elsewhere and isinstance(task.ended, Result) and task.ended.new_doc_id is None:
                raise Violation(
                    f"document {upload.result_id} was created, and {task.name} is green without a "
                    "word"
                )
            if isinstance(task.ended, PermanentError) and "Nothing was sent" in str(task.ended):
                raise Violation(f"{task.name} says that nothing was sent: {task.ended}")

    def script_text(self) -> str:
        """Return the history as a script that can be replayed: only the deviations count."""
        deviations = [
            f"    {place}: {chosen},  # {label} -> {chosen}"
            for place, (_, chosen, label) in enumerate(self.choices)
            if chosen
        ]
        return "\n".join(
            [
                f"replay({self.scenario.name!r}, {{",
                *deviations,
                "})",
                *self.events,
            ]
        )
