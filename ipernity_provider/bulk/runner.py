"""Many replacements from top to bottom: inspect all, send, wait for all, prove each.

Some are sent at a time; all tickets are waited for together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import PermanentError, TransientError
from ipernity_provider.bulk.journal import BulkJournal, JournalLost
from ipernity_provider.bulk.manifest import ManifestLine, require_different_targets
from ipernity_provider.bulk.report import list_failures
from ipernity_provider.bulk.rows import Row, match_rows
from ipernity_provider.bulk.scheduler import Stop, find_obstacle
from ipernity_provider.bulk.sending import Sending
from ipernity_provider.bulk.steps import BulkOptions, RowSteps
from ipernity_provider.replacement.errors import Refused
from ipernity_provider.replacement.memory import DocumentMemory, follow_chain
from ipernity_provider.replacement.preflight import Account
from ipernity_provider.replacement.request import Intent
from ipernity_provider.replacement.schedule import Clock


class BulkReplacement:
    """Many replacements, new or resumed.

    Call :meth:`inspect`, :meth:`require_possible` and :meth:`run`; or :meth:`resume` and
    :meth:`run`.

    :param journal: lets a later call continue where this one was cut off.
    :param cancelled: once it is set, by a signal handler or another thread, uploads are aborted
        before their last blocks, and :meth:`run` ends soon.
    :param memory: what is known of documents; ``on_new_document="transfer"`` needs it.
    """

    def __init__(
        self,
        client: IpernityClient,
        options: BulkOptions,
        journal: BulkJournal,
        *,
        intent: Intent | None = None,
        cancelled: threading.Event | None = None,
        clock: Clock | None = None,
        memory: DocumentMemory | None = None,
    ) -> None:
        self.options = options
        self._journal = journal
        self._intent = intent or Intent()
        self._steps = RowSteps(
            client,
            options,
            journal,
            self._intent,
            cancelled or threading.Event(),
            clock or time,
            memory=memory,
        )
        self._left_bytes: int | None = None
        #: Why nothing more is sent; None while sending goes on.
        self.stop: Stop | None = None
        #: Why some rows were left to a later try; None if none was, or if none can succeed.
        self.last_error: TransientError | None = None

    @property
    def rows(self) -> list[Row]:
        """The rows of the manifest, in its order, then those that were sent for an earlier one."""
        return [row for row in self._journal.rows.values() if row.place != "set_aside"]

    # -- before anything is sent -------------------------------------------------------------------

    def inspect(self, lines: Iterable[ManifestLine]) -> None:
        """Look at all files and documents, and decide what to do with each; nothing is sent.

        :raises ManifestError: rows lead to the same document, because it has taken the place of
            another one.
        :raises Refused: nothing can be replaced with this token or account.
        :raises TransientError: the service or the network does not work at the moment.
        """
        lines = list(lines)
        if self.options.each.transfers and self._steps.memory:
            require_different_targets(lines, partial(_chain_of, self._steps.memory))
        account = Account.load(self._steps.client) if self.options.each.check_account else None
        self._steps.account = account
        self._left_bytes = account.quota.spendable_bytes if account else None
        self._journal.load()
        self._journal.begin(match_rows(self._journal.rows, lines, self._intent.id))
        self.last_error = self._steps.inspect_all() or self.last_error
        self.stop = find_obstacle(self.rows, self._left_bytes, self.options.on_error)
        if self.stop and any(row.status in {"refused", "failed"} for row in self.rows):
            self.last_error = None  # a later try does not help

    def require_possible(self) -> None:
        """Require that something may be sent, or that there is something to prove.

        :raises Refused: nothing may be sent, and nothing was.
        :raises TransientError: the same, and a later try may succeed.
        """
        begun = any(
            row.may_have_arrived or row.status in {"replaced", "transferred", "failed"}
            for row in self.rows
        )
        if self.stop is None or begun:
            return
        message = self.stop.message[0].upper() + self.stop.message[1:]
        advice = list_failures(self.rows) or 'on_error="continue" sends what fits.'
        raise self.last_error or Refused(f"{message}, so nothing was sent.\n{advice}")

    def resume(self, state: Mapping[str, Any]) -> None:
        """Take up what an earlier run was waiting for.

        :param state: what that run returned as :attr:`state`.
        :raises JournalLost: what it was waiting for is not known any more.
        :raises LookupError: and :raises TypeError: that is not such a state.
        """
        if "stopped" in state:  # as the first edition of this package says it
            message = state["stopped"]
            if not isinstance(message, str):
                raise TypeError  # without the reason to stop, more would be sent
            state = {
                "stop": {"reason": "failed", "message": message} if message else None,
                "last_error": state["trouble"],
            }
        stop, error = state["stop"], state["last_error"]
        self.stop = Stop(stop["reason"], stop["message"]) if stop else None
        self.last_error = TransientError.from_json(error) if error else None
        self._journal.load()
        if not self._journal.rows:
            raise JournalLost(
                "What was known of the uploads was deleted while they were waited for. Nothing"
                " more was sent. Start again: every document is looked at, and those that carry"
                " their files are left alone."
            )

    @property
    def state(self) -> dict[str, Any]:
        """What a run that only waits leaves to the one that resumes it; JSON-simple.

        The journal holds the rest.
        """
        return {
            "stop": self.stop and asdict(self.stop),
            "last_error": self.last_error and self.last_error.to_json(),
        }

    def run(self, *, timeout: float, may_pause: bool = False) -> dict[str, str]:
        """Send, wait and prove until nothing is left to do.

        :param timeout: seconds to wait for the service once nothing more is sent.
        :param may_pause: return what is left to wait for as soon as nothing else is to be done.
        :return: ticket -> document of what is left to wait for.
        :raises NotFinished: the time limit passed.
        :raises Cancelled: by ``cancelled``, or because another process has begun.
        """
        sending = Sending(self._steps, self._left_bytes, self.stop)
        try:
            return sending.run(timeout, may_pause=may_pause)
        except BaseException:
            sending.abort()
            raise
        finally:
            self.stop = sending.scheduler.stop
            self.last_error = sending.last_error or self.last_error


def _chain_of(memory: DocumentMemory, doc_id: str) -> list[str]:
    """Return a document, the one that has taken its place, and so on to the last."""
    try:
        taken = follow_chain(memory, doc_id)
    except PermanentError:
        return [doc_id]  # the inspection refuses this row, and says why
    return [doc_id, *(str(known.successor) for _, known in taken)]
