"""``probe``: measure what the service does with an account, and clean up."""

from __future__ import annotations

import json
import sys
import textwrap
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from ipernity_provider.api.client import DEFAULT_BASE_URL, IpernityClient
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.api.exchange import host_of
from ipernity_provider.api.models import Token
from ipernity_provider.cli import metastore
from ipernity_provider.cli.errors import CommandFailed, exit_on_error
from ipernity_provider.cli.journal import account_folder
from ipernity_provider.cli.terminal import confirm, say
from ipernity_provider.files.writing import atomic_write
from ipernity_provider.hooks.checks import explain
from ipernity_provider.hooks.connection import ConnectionSettingError, ConnectionSettings
from ipernity_provider.probe.cleanup import Left, clean_up
from ipernity_provider.probe.driver import Probe
from ipernity_provider.probe.findings import Findings
from ipernity_provider.probe.polling import Patience
from ipernity_provider.probe.record import Attempt, Record, RecordUnusable, exclusive
from ipernity_provider.probe.samples import MEDIA
from ipernity_provider.text import printable

_WIDTH, _LABEL = 80, 28
_LONGEST_WAIT = 86400.0
_EXPLANATION = """\
This finds out what {host} really does with the account of {account}.
- For each of these kinds it draws a small file, sends it, and replaces it by another one: \
{kinds}. Then it sends one more file with another option. The documents are private.
- {end} It changes no other document.
- It makes about 20 calls for each kind, sends less than 100 KB, and takes about a minute for each \
kind, more if the service is slow.
- What it makes is written to {record} first. If the probe is killed, start it again: it offers to \
clean up."""
_DELETES = "At the end it deletes what it made."
_LEAVES = (
    "Its token may not delete: what it made stays, 1 to 3 private documents for each kind, and it "
    "says where they are."
)
_GROUPS = {"other": "other (documents)"}
_YES = "Give --yes to probe without being asked."
_REASONS = {
    "not_allowed": "the token may not delete. Delete it on its page.",
    "not_found": "it did not show up; probably it did not arrive. The next probe looks again.",
    "not_ours": "it does not look like a file of the probe, so it was not touched. Look at it.",
    "no_answer": "the service did not answer as expected. The next probe tries again.",
}


@exit_on_error()
def probe(options: Namespace) -> None:
    """Probe an account; exit with 1 if something failed or is left, with 2 if it cannot start."""
    media = read_media(options.media)
    if not 0 < options.timeout <= _LONGEST_WAIT:
        message = f"--timeout must be above 0 and at most {_LONGEST_WAIT:.0f} seconds."
        raise CommandFailed(message, 2)
    try:
        settings = metastore.require_settings(options.conn_id)
    except (CommandFailed, ConnectionSettingError) as error:
        raise CommandFailed(str(error), 2) from None
    if options.store:
        metastore.require_extra_storable(options.conn_id)
    try:
        with settings.client() as client:
            token = _read_token(client, options.conn_id)
            path = record_path(options.conn_id, settings, token.user_id)
            with exclusive(path):
                _Session(options, settings, client, token, path).run(media)
    except RecordUnusable as error:
        raise CommandFailed(str(error)) from None


def read_media(text: str) -> list[str]:
    """Return the service's words for a list of kinds of files, each once.

    :raises CommandFailed: there is another word in it.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not set(words) <= set(MEDIA):
        known = ", ".join(MEDIA)
        raise CommandFailed(f"--media {printable(text)!r} is not a list of these: {known}.", 2)
    return list(dict.fromkeys(MEDIA[word] for word in words))


def record_path(conn_id: str, settings: ConnectionSettings, user_id: str) -> Path:
    """Return where the record of an account's probes is, beside the journals of other commands.

    In the first edition it was in Airflow's home, one for each connection: while there is one, it
    is used until it is cleaned up.

    :raises CommandFailed: there is no place for it.
    """
    from airflow.configuration import AIRFLOW_HOME

    earlier = Path(AIRFLOW_HOME) / "ipernity" / f"probe-{quote(conn_id, safe='')}.json"
    if earlier.exists():
        return earlier
    host = urlsplit(settings.base_url or settings.website_url).netloc
    return account_folder(host, user_id) / "probe.json"


def _read_token(client: IpernityClient, conn_id: str) -> Token:
    try:
        token = client.check_token()
    except IpernityError as error:
        raise CommandFailed(f"The account cannot be probed. {explain(error)}") from None
    if not token.allows("doc", "write"):
        renew = f"airflow ipernity authorize --conn-id {conn_id} --overwrite"
        raise CommandFailed(
            f"The token allows doc: {token.permissions.get('doc', 'none')}, but the probe "
            f"sends files, which needs doc: write. Nothing was sent. Run `{renew}`."
        )
    return token


class _Session:
    """One start of the command."""

    def __init__(
        self,
        options: Namespace,
        settings: ConnectionSettings,
        client: IpernityClient,
        token: Token,
        path: Path,
    ) -> None:
        self._options = options
        self._settings = settings
        self._client = client
        self._url = settings.base_url or DEFAULT_BASE_URL
        self._patience = Patience(options.timeout)
        self._token = token
        self._record = Record.load(path, f"{self._url} {self._token.user_id}")

    def run(self, media: Sequence[str]) -> None:
        was_complete = self._offer_to_clean_up()
        if self._options.clean_up:
            sys.exit(0 if was_complete else 1)
        if not self._options.yes:
            say(self._explanation(media))
            if not confirm("Probe this account?", _YES):
                raise CommandFailed("Nothing was sent.")
        earlier = list(self._record.attempts)
        prober = Probe(
            self._settings.client,
            self._token,
            self._record,
            is_live=host_of(self._url) == host_of(DEFAULT_BASE_URL),
            auth=self._settings.auth,
            patience=self._patience,
            say=say,
        )
        try:
            findings = prober.run(media)
            if self._options.save:
                _save(findings, Path(self._options.save))
        except BaseException as error:  # Ctrl-C among them
            if self._made_since(earlier):
                how = "interrupted" if isinstance(error, KeyboardInterrupt) else "broken off"
                say(f"\nThe probe was {how}. Cleaning up; Ctrl-C leaves that to the next start.")
                self._clean_up(self._made_since(earlier))
            raise
        is_clean = self._clean_up(self._made_since(earlier))
        self._publish(findings)
        sys.exit(0 if is_clean else 1)

    def _made_since(self, earlier: Sequence[Attempt]) -> list[Attempt]:
        return [attempt for attempt in self._record.attempts if attempt not in earlier]

    def _explanation(self, media: Sequence[str]) -> str:
        may_delete = self._token.allows("doc", "delete")
        lines = _EXPLANATION.format(
            host=host_of(self._url),
            account=self._token.username or "this account",
            kinds=", ".join(word for word, name in MEDIA.items() if name in media),
            end=_DELETES if may_delete else _LEAVES,
            record=self._record.path,
        )
        return "\n".join(
            line
            for text in lines.split("\n")
            for line in textwrap.wrap(
                text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
            )
        )

    def _offer_to_clean_up(self) -> bool:
        """Clean up after earlier probes if the user agrees; return whether nothing is left."""
        attempts = list(self._record.attempts)
        if not attempts:
            if self._options.clean_up:
                say("No earlier probe of this account has left anything.")
            return True
        say(f"An earlier probe may have left {len(attempts)} uploads in the account:")
        for attempt in attempts:
            say(f"  {attempt.filename}, document {attempt.doc_id or 'not known'}")
        if not self._options.yes and not confirm("Look for them and delete them?", _YES):
            return False
        return self._clean_up(attempts)

    def _clean_up(self, attempts: Sequence[Attempt]) -> bool:
        """Clean up, say what is left, and return whether nothing is left that should not be."""
        left = clean_up(self._client, self._token, self._record, attempts, self._patience, say)
        for one in left:
            say(_sentence(one))
        return all(one.reason == "not_allowed" for one in left)

    def _publish(self, findings: Findings) -> None:
        if self._options.output:
            print(json.dumps(findings.as_json(), indent=2))
        else:
            print("\n".join(table(findings)))
        if self._options.store:
            metastore.store_in_extra(self._options.conn_id, "findings", findings.as_json())
            say(f"The findings are stored in the connection {self._options.conn_id!r}.")


def _sentence(left: Left) -> str:
    what = left.attempt.filename
    if left.doc_id is not None:
        what += f", document {left.doc_id}"
    if left.link:
        what += f" ({left.link})"
    return f"Left: {printable(what)}: {_REASONS[left.reason]}"


def _save(findings: Findings, path: Path) -> None:
    try:
        with atomic_write(path) as stream:
            stream.write(json.dumps(findings.as_json(), indent=2).encode() + b"\n")
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}.") from None


def table(findings: Findings) -> Iterator[str]:
    """Yield the lines of a table of the findings, at most 80 characters wide."""
    last = ""
    for group, question, answer in findings.rows():
        if group != last:
            yield from [""] * bool(last)
            yield _GROUPS.get(group, group)
            last = group
        lines = textwrap.wrap(answer, _WIDTH - _LABEL - 2)
        yield f"  {question:<{_LABEL}}{lines[0]}"
        for line in lines[1:]:
            yield f"  {'':<{_LABEL}}{line}"
    for advice in advise(findings):
        yield ""
        yield from textwrap.wrap(advice, _WIDTH)


def advise(findings: Findings) -> Iterator[str]:
    """Yield what follows from the findings for the tasks."""
    if new := sorted(findings.makes_new_document):
        yield (
            f"Replacing makes a new document of: {', '.join(new)}. With the findings stored "
            "(--store), such a file is refused before it is sent, unless on_new_document says what "
            "to do."
        )
    rewritten = [
        media
        for media, facts in findings.media.items()
        if facts.get("stored_bytes") == "rewritten" and facts.get("replace") == "in_place"
    ]
    if rewritten:
        yield (
            f"The service stores other bytes than were sent of: {', '.join(rewritten)}. "
            'Replacing these needs proof="changed".'
        )
    if findings.facts.get("oauth_multipart") == "rfc5849":
        yield "With the findings stored (--store), uploads are signed by the rule of RFC 5849."
