"""Run a probe: a few gentle calls, one upload at a time, each in the record before it is sent."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.api.models import Quota, Token, Upload
from ipernity_provider.api.parsing import parse
from ipernity_provider.probe.cleanup import find_result
from ipernity_provider.probe.conclusions import conclude
from ipernity_provider.probe.documents import look_at, make_private
from ipernity_provider.probe.findings import UNKNOWN, Findings
from ipernity_provider.probe.observations import (
    MediaObservation,
    Observation,
    SeenDocument,
    Sending,
    Wait,
)
from ipernity_provider.probe.polling import Patience, wait_for_ticket
from ipernity_provider.probe.record import Attempt, Record
from ipernity_provider.probe.samples import Sample, make_sample

_MAX_FETCHED_BYTES = 16 << 20
_FETCH_SECONDS = 60.0
_BAD_SIGNATURE = 105


class ClientFactory(Protocol):
    """Makes a client of the account; ``changes`` are other values of its parameters."""

    def __call__(self, **changes: Any) -> IpernityClient: ...


class Probe:
    """One probe of one account.

    :param token: whose account it is; it must allow to write documents.
    :param is_live: whether this is ipernity.com itself.
    :param auth: ``signature`` or ``oauth``.
    :param say: gets a line for a person before each step.
    """

    def __init__(
        self,
        make_client: ClientFactory,
        token: Token,
        record: Record,
        *,
        is_live: bool,
        auth: str,
        patience: Patience,
        say: Callable[[str], None],
    ) -> None:
        self._make_client = make_client
        # Not by what an earlier probe found out.
        self._client = make_client(oauth_multipart="form_fields")
        self._token = token
        self._record = record
        self._patience = patience
        self._say = say
        self._mark = secrets.token_hex(8)
        today = datetime.now(UTC).date().isoformat()
        self._seen = Observation(day=today, is_live=is_live, auth=auth, token=token)

    def run(self, media: Sequence[str]) -> Findings:
        """Probe the account and each media class, and return what was found.

        Questions that the service does not answer are findings, too: ``unknown``.

        :param media: the service's words: ``photo``, ``audio``, ``video``, ``other``.
        :raises RecordUnusable: the record cannot be written.
        """
        try:
            self._observe_account()
            for one in media:
                self._observe_media(one)
            self._observe_synchronous(media[0])
        finally:
            self._client.close()
        return conclude(self._seen)

    def _observe_account(self) -> None:
        self._say("Reading the account, with and without lg.")
        with suppress(IpernityError):
            reply = self._client.call("account.getQuota")
            self._seen.answers.append(reply)
            self._seen.quota = parse(Quota, reply, "account.getQuota", "quota")
        with suppress(IpernityError), self._make_client(lg=None) as client:
            self._seen.without_lg = client.exchange("test.echo", echo="hello")
        with suppress(IpernityError):
            # There is no document 0: an error of the service itself, which changes nothing.
            self._seen.error = self._client.exchange("doc.get", doc_id="0")

    def _observe_media(self, media: str) -> None:
        """Send a file, replace it, and look at the document before and after that."""
        sample = make_sample(media, self._mark, 1)
        self._say(f"{media}: sending {sample.name} ({len(sample.data):,} bytes).")
        seen = MediaObservation(media, self._send("upload.file", media, sample))
        self._seen.media.append(seen)
        doc_id = seen.file.doc_id
        if doc_id is None:
            return
        seen.before = self._look_at(doc_id)
        before = self._fetch_thumbnail(seen.before)
        sample = make_sample(media, self._mark, 2)
        self._say(f"{media}: replacing it by {sample.name} ({len(sample.data):,} bytes).")
        seen.replace = self._send("upload.replace", media, sample, doc_id)
        if (result := seen.replace.doc_id) is None:
            return
        self._say(f"{media}: looking at the result.")
        seen.after = self._look_at(doc_id)
        if result != doc_id:
            seen.new = self._look_at(result)
        shown = seen.after if result == doc_id else seen.new
        seen.thumbnails = (before, self._fetch_thumbnail(seen.after))
        seen.stored_md5 = self._fetch_md5(shown.original_url if shown else None)
        sums = {md5 for md5 in (sample.md5, seen.stored_md5) if md5}
        try:
            seen.md5_hits = self._client.check_md5(sorted(sums))
        except IpernityError as error:
            seen.md5_error = error

    def _observe_synchronous(self, media: str) -> None:
        """Send one more file with ``async=0``: last, because its answer may never come."""
        seen = next(one for one in self._seen.media if one.media == media)
        sample = make_sample(media, self._mark, 3)
        self._say(f"{media}: sending {sample.name} with async=0.")
        if seen.replace and seen.replace.doc_id:
            doc_id = seen.file.doc_id
            sent = self._send("upload.replace", media, sample, doc_id, asynchronous=False)
        elif seen.file.doc_id:
            sent = self._send("upload.file", media, sample, asynchronous=False)
        else:
            return
        self._seen.sync = sent
        if sent.doc_id not in {None, seen.file.doc_id}:
            self._look_at(str(sent.doc_id))  # so that it is private

    def _send(
        self,
        method: str,
        media: str,
        sample: Sample,
        replaces: str | None = None,
        *,
        asynchronous: bool = True,
    ) -> Sending:
        """Send a file, and wait until the service has processed it."""
        attempt = Attempt(
            method=method,
            media=media,
            filename=sample.name,
            title=f"ipernity probe {self._mark}",
            md5=sample.md5,
            bytes=len(sample.data),
            started_at=time.time(),
            replaces=replaces,
        )
        self._record.add(attempt)
        sent = Sending(sample)
        try:
            self._upload(sent, attempt, asynchronous=asynchronous)
        except IpernityError as error:
            sent.error = error
            if not error.maybe_accepted:
                self._record.remove(attempt)
                return sent
            self._say("The answer was lost; looking for what became of the file.")
            with suppress(IpernityError):
                attempt.doc_id, _ = find_result(self._client, self._token, attempt, self._patience)
            if attempt.doc_id is not None:
                sent.wait = Wait("done", attempt.doc_id)
        else:
            assert sent.reply is not None  # nosec B101  # noqa: S101 - there was no error
            attempt.ticket, attempt.doc_id = sent.reply.ticket, sent.reply.doc_id
            self._record.save()
            sent.wait = self._wait_for(attempt)
            attempt.doc_id = sent.doc_id or attempt.doc_id
        self._record.save()
        return sent

    def _upload(self, sent: Sending, attempt: Attempt, *, asynchronous: bool) -> None:
        """Make the call; with OAuth, find out which fields of it are to be signed.

        :raises IpernityError: it was refused, or its answer was lost.
        """
        try:
            sent.reply = self._call_upload(sent, attempt, asynchronous=asynchronous)
            rule = "form_fields"
        except IpernityError as error:
            is_first = self._seen.oauth_multipart == UNKNOWN and self._seen.auth == "oauth"
            if error.code != _BAD_SIGNATURE or error.maybe_accepted or not is_first:
                raise
            self._seen.oauth_multipart = f"refused:{error.code}"
            self._client.close()
            self._client = self._make_client(oauth_multipart="rfc5849")
            sent.reply = self._call_upload(sent, attempt, asynchronous=asynchronous)
            rule = "rfc5849"
        if self._seen.oauth_multipart not in {"form_fields", "rfc5849"}:
            self._seen.oauth_multipart = rule

    def _call_upload(self, sent: Sending, attempt: Attempt, *, asynchronous: bool) -> Upload:
        if attempt.replaces is not None:
            return self._client.upload_replace(
                attempt.replaces, sent.sample, asynchronous=asynchronous
            )
        return self._client.upload_file(
            sent.sample,
            asynchronous=asynchronous,
            title=attempt.title,
            is_public=False,
            is_family=False,
            is_friend=False,
        )

    def _wait_for(self, attempt: Attempt) -> Wait:
        if attempt.ticket:
            return wait_for_ticket(
                self._client, attempt.ticket, self._patience, self._seen.answers.append
            )
        return Wait("done" if attempt.doc_id else "unknown", attempt.doc_id)

    def _look_at(self, doc_id: str) -> SeenDocument | None:
        """Return a document as it is; it is private from then on if a probe made it."""
        try:
            found = look_at(self._client, doc_id, self._seen.answers.append)
        except IpernityError:
            return None
        made_by = [attempt for attempt in self._record.attempts if attempt.doc_id == doc_id]
        with suppress(IpernityError):
            make_private(self._client, self._token, made_by, found)
        return found[1]

    def _fetch_thumbnail(self, document: SeenDocument | None) -> str | None:
        """Return the checksum of a document's smallest thumbnail."""
        thumbnails = document.thumbnails if document else {}
        return self._fetch_md5(thumbnails.get("75x") or thumbnails.get("100"))

    def _fetch_md5(self, url: str | None) -> str | None:
        """Return the checksum of what lies at an address; None if it cannot be fetched."""
        if not url:
            return None
        digest = hashlib.md5(usedforsecurity=False)
        try:
            for block in self._client.download(
                url, max_bytes=_MAX_FETCHED_BYTES, total_timeout=_FETCH_SECONDS
            ):
                digest.update(block)
        except IpernityError:
            return None
        return digest.hexdigest()
