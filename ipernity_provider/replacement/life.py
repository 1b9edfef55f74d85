"""One replacement from top to bottom."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import AnswerLost, SourceChanged
from ipernity_provider.api.models import Ticket
from ipernity_provider.api.multipart import Progress
from ipernity_provider.api.sentences import log_lines
from ipernity_provider.replacement.backup import back_up
from ipernity_provider.replacement.journal import Entry, Journal, MemoryJournal
from ipernity_provider.replacement.order import Demand, NotFinished, Order, Result, Terms, TicketInvalid
from ipernity_provider.replacement.plan import Plan, make_entry, make_plan
from ipernity_provider.replacement.send import find, known_twins, look, send
from ipernity_provider.replacement.settle import settle
from ipernity_provider.replacement.source import Source, examine, read_through
from ipernity_provider.replacement.verify import proof_of, result_lines, still_proven, verify

log = logging.getLogger(__name__)

_SENDS_PER_TRY = 2
_LOOK_SECONDS = 10.0


def replace_file(
    client: IpernityClient,
    order: Order,
    journal: Journal | None = None,
    *,
    poll_interval: float = 30.0,
    timeout: float = 3600.0,
    progress: Progress | None = None,
) -> Result:
    """Replace a document's file and prove it.

    :param journal: what lets a later call go on where this one was cut off; by default there is none.
    :param poll_interval: longest pause between two looks at the ticket, in seconds.
    :param timeout: seconds to wait for the service to process the file.
    :param progress: called after each block that is sent.
    :raises IpernityError: typed by what can be done about it.
    """
    journal = journal or MemoryJournal()
    begun = begin(client, order, journal, progress)
    if isinstance(begun, Result):
        return begun
    ticket = None
    if begun.waiting_for:
        ticket = settle(client, begun.waiting_for, poll_interval=poll_interval, timeout=timeout)
    return complete(client, order, journal, begun, ticket)


def begin(
    client: IpernityClient,
    order: Order,
    journal: Journal,
    progress: Progress | None = None,
    *,
    source: Source | None = None,
    twins: Sequence[str] | None = None,
) -> Result | Entry:
    """Plan and send, or go on with what an earlier try of the same order has sent.

    :param source: the file, if it was examined before.
    :param twins: the documents that carry its bytes already, if they were asked for before.
    :return: a result where nothing is to be sent, else the entry of the upload that is under way.
    """
    source = source or examine(order.file, order.filename, order.upload_roots)
    asked_for = source.md5
    if source.unread:
        source = as_far_as_known(source, journal.read())
        if source.unread and order.maybe_sent_since:
            # No journal tells: what an earlier try may have sent is looked for by the checksum, which has to be a true one.
            source = read_through(source)
    if not order.dry_run and (begun := _begun_before(client, order, journal, source)):
        return begun
    if not order.dry_run:
        _let_end(client, order, journal)
    plan = _plan(client, order, source)
    if order.dry_run:
        return plan.result("planned")
    if not plan.send:
        return plan.result("unchanged")
    backup = back_up(client, order, plan.document)
    try:
        known = twins if plan.source.md5 == asked_for else None
        return _send(client, order, journal, progress, plan, backup, known)
    except SourceChanged as error:
        plan = _plan(client, order, _really(plan.source, error))
    if not plan.send:
        return plan.result("unchanged")
    return _send(client, order, journal, progress, plan, backup, None)


def as_far_as_known(source: Source, entry: Entry | None) -> Source:
    """The file, with the checksum that an earlier try has found instead of the claimed one."""
    if source.unread and entry and (entry.claim, entry.bytes) == (source.claim, source.size):
        return replace(source, md5=entry.md5)
    return source


def _plan(client: IpernityClient, order: Order, source: Source) -> Plan:
    plan = make_plan(client, order, source)
    log_lines(log, logging.INFO, plan.reason)
    return plan


def _really(source: Source, error: SourceChanged) -> Source:
    """The file as it was read, if it is only not what its storage claims.

    :raises SourceChanged: it is not what was read before.
    """
    if not source.unread or error.md5 is None:
        raise error
    log.warning(
        "The storage of %s says that its md5 is %s, but its bytes have %s (so it may be with encrypted objects). "
        "Nothing was replaced yet; planning anew.",
        source.name,
        source.claim,
        error.md5,
    )
    return source.as_read(error.md5, error.size)


def _send(
    client: IpernityClient,
    order: Order,
    journal: Journal,
    progress: Progress | None,
    plan: Plan,
    backup: str | None,
    twins: Sequence[str] | None,
) -> Entry:
    """Send the file, and once more if it provably did not arrive.

    :raises AnswerLost: it did not arrive then either.
    """
    source = plan.source
    if twins is None:
        twins = known_twins(client, source)
    intent = make_entry(order, plan.document, source, twins, backup)
    for _ in range(_SENDS_PER_TRY):
        if sent := send(client, order, source, intent, journal, progress):
            return sent
    raise AnswerLost(
        f"{source.name} was sent to document {order.doc_id} {_SENDS_PER_TRY} times and did not arrive; the document is as "
        "before. A later try may get through.",
        method="upload.replace",
    )


def complete(
    client: IpernityClient,
    demand: Demand,
    journal: Journal,
    entry: Entry,
    ticket: Ticket | None,
    *,
    log_result: Callable[[Entry, Result], Iterable[str]] = result_lines,
) -> Result:
    """Prove what the upload has led to, and remember it.

    :param ticket: the ticket, no longer pending; None where the resulting document is known without one.
    :param log_result: the lines that the log gets of it.
    :raises TicketInvalid: the service could not use the file.
    """
    if ticket and ticket.state == "invalid" and proof_of(client.get_document(entry.doc_id), entry) is None:
        journal.forget()
        raise TicketInvalid(
            f"Ticket {ticket.id} is invalid: the service took {entry.filename} for document {entry.doc_id} but could not "
            "use it; it gives no reason. Check that the file opens and is of the document's kind."
        )
    if ticket and ticket.state == "unknown":
        sign, doc_id = look(client, entry)
        if sign == "arrived":
            entry = entry.with_answer(entry.ticket, doc_id)
    proven, result = verify(client, demand, entry, ticket)
    journal.write(proven)
    for line in log_result(proven, result):
        log.info("%s", line)
    return result


def _begun_before(
    client: IpernityClient, order: Order, journal: Journal, source: Source
) -> Result | Entry | None:
    """What an earlier try of this very order has led to; None where it is to be sent (again)."""
    earlier = _earlier(client, journal, order, source)
    if earlier is None:
        return None
    if result := still_proven(client, order, earlier):
        log.info(result.reason)
        return result
    if earlier.proven:
        log.info("Document %s has been changed since its replacement: starting anew.", order.doc_id)
        return None
    if earlier.answered:
        log.info("Going on with the upload begun at %s, ticket %s.", earlier.at, earlier.ticket or "unknown")
        return earlier
    log.info("An earlier try began to send this file at %s; asking whether it arrived.", earlier.at)
    return find(client, order, earlier, journal)


def _earlier(client: IpernityClient, journal: Journal, order: Order, source: Source) -> Entry | None:
    """What an earlier try of this very order has left, if there is such a thing."""
    entry = journal.read()
    if entry is None:
        return _presumed(client, order, source) if order.maybe_sent_since else None
    if entry.doc_id != order.doc_id or entry.md5 != source.md5:
        log.info("The upload begun at %s was of another file or document: starting anew.", entry.at)
        return None
    if order.force and entry.run != order.run:
        log.info("The upload begun at %s belongs to an earlier run: starting anew, as forced.", entry.at)
        return None
    return entry


def _let_end(client: IpernityClient, order: Order, journal: Journal) -> None:
    """Let an upload end that is not gone on with: processed later, its bytes would take the place of ours.

    It is given ``resend_grace`` since it was begun; what takes longer may be stuck for ever.

    :raises NewDocument: it has led to one, and ours would, too.
    """
    entry = journal.read()
    if entry is None or entry.doc_id != order.doc_id or entry.proven:
        return
    patience = entry.alive_at + order.resend_grace - time.time()
    if not outlast(client, order, entry, journal.read, patience):
        log.warning(
            "Nobody has seen the end of the upload of other bytes begun at %s, ticket %s. It is not waited for any longer.",
            entry.at,
            entry.ticket or "unknown",
        )


def outlast(
    client: IpernityClient,
    terms: Terms,
    entry: Entry,
    read: Callable[[], object],
    patience: float,
) -> bool:
    """Look for the end of an upload that is not gone on with.

    :param read: called after each pause; by its error a process learns that it is to end.
    :param patience: seconds to wait for that end; without any, there is one look.
    :return: whether its end was seen.
    :raises NewDocument: it has led to one, and none is wanted.
    """
    end = time.monotonic() + patience

    def left() -> float:
        return max(0.0, end - time.monotonic())

    def pause(seconds: float) -> None:
        time.sleep(seconds)
        read()

    while not entry.answered:
        sign, doc_id = look(client, entry)
        if sign == "arrived":
            entry = entry.with_answer(None, doc_id)
        elif not left():
            return False
        else:
            log.info("An upload of other bytes was begun at %s; its end is waited for.", entry.at)
            pause(min(_LOOK_SECONDS, left()))
    ticket = None
    if entry.waiting_for:
        try:
            ticket = settle(
                client, entry.waiting_for, poll_interval=_LOOK_SECONDS, timeout=left(), sleep=pause
            )
        except NotFinished:
            return False
    led_to = ticket.doc_id if ticket else entry.result_id
    strayed = led_to and led_to != entry.doc_id
    if strayed and terms.on_new_document == "fail" and not terms.force:
        verify(client, terms, entry, ticket)
    return True


def _presumed(client: IpernityClient, order: Order, source: Source) -> Entry | None:
    """The intent that an earlier try may have had, where no journal tells: the document as it was before is not known.

    None where the document carries the file already, for which the plan has its own answer.
    """
    since = int(order.maybe_sent_since or 0)
    document = client.get_document(order.doc_id)
    if document.md5 == source.md5 and order.if_unchanged != "replace":
        return None
    intent = make_entry(order, document, source, twins=[], backup=None)
    return replace(
        intent,
        before=replace(intent.before, asked_at=since, replaced_at=min(document.replaced_at, since - 1)),
    )
