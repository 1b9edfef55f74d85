"""Check a connection step by step, for ``airflow ipernity check`` and Airflow's Test button."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Literal, TypeVar

from ipernity_provider.api.client import DEFAULT_BASE_URL, IpernityClient
from ipernity_provider.api.errors import IpernityError, ReplyInvalid
from ipernity_provider.api.exchange import host_of
from ipernity_provider.api.models import Quota, Token
from ipernity_provider.api.parsing import Payload, as_map, parse
from ipernity_provider.api.signing import ahead_of_service, describe_offset
from ipernity_provider.hooks.connection import ConnectionSettings
from ipernity_provider.hooks.reply_shapes import (
    QUOTA,
    TOKEN,
    find_differences,
    find_list_differences,
)

T = TypeVar("T")

#: The checks in their order.
CHECKS = ("service", "clock", "token", "permission", "account", "quota", "answers", "probe")

_CLOCK_MATTERS_SECONDS = 60.0
_KEYS_PAGE = "https://www.ipernity.com/apps/key"
_WRONG_KEY = {
    101: f"The service does not know the API key (code 101). Compare it with {_KEYS_PAGE}.",
    105: f"The API secret does not belong to the API key (code 105). Compare it with {_KEYS_PAGE}.",
}


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    :param sentence: what was found and what to do, without secrets.
    """

    check: str
    status: Literal["ok", "warning", "failed", "skipped"]
    sentence: str


def explain(error: IpernityError) -> str:
    """Return what is wrong and what to do, for a person who sets up a connection."""
    return _WRONG_KEY.get(error.code or 0) or str(error)


class Checks:
    """The checks of one connection; each calls the service once.

    :param conn_id: its id, for the command that renews its token.
    """

    def __init__(self, settings: ConnectionSettings, conn_id: str) -> None:
        self._settings = settings
        self._host = host_of(settings.base_url or DEFAULT_BASE_URL)
        oauth = " --oauth" if settings.auth == "oauth" else ""
        command = f"airflow ipernity authorize --conn-id {conn_id} --overwrite{oauth}"
        self._renew = f"Run `{command}`."
        self._differences: list[str] = []

    def run(self, seconds: float) -> Iterator[Finding]:
        """Yield the findings, until one makes the others impossible or the time is over.

        :param seconds: for all checks together; the one that takes longer is reported as failed.
        """
        done = 0
        try:
            for finding in _in_time(seconds, self._findings()):
                done += 1
                yield finding
        except TimeoutError as error:
            if done < len(CHECKS):
                yield Finding(CHECKS[done], "failed", str(error))

    def _findings(self) -> Iterator[Finding]:
        # With the service's own signature, which needs neither a clock nor a token.
        with self._settings.brief_client(auth="signature", token=None) as client:
            try:
                reply = client.call("test.echo", echo="hello")
            except IpernityError as error:
                yield from self._explain_failed_echo(error)
                return
        if reply.get("echo") != "hello":
            self._differences.append("test.echo does not repeat its parameter")
        yield Finding("service", "ok", f"{self._host} answers and knows the API key.")
        yield self._check_clock(reply)
        if not self._settings.token:
            yield Finding("token", "failed", f"The connection has no token. {self._renew}")
            return
        with self._settings.brief_client() as client:
            yield from self._check_account(client)

    def _explain_failed_echo(self, error: IpernityError) -> Iterator[Finding]:
        if error.code == 105:  # an unknown key has another code
            yield Finding("service", "ok", f"{self._host} answers and knows the API key.")
            yield Finding("clock", "skipped", "Not checked, because of the failure below.")
            yield Finding("token", "failed", explain(error))
        elif self._requires_lg(error):
            yield Finding(
                "service",
                "failed",
                "The service refuses calls without `lg`. "
                "Remove it from the connection's extra, or set it to en.",
            )
        else:
            yield Finding("service", "failed", explain(error))

    def _requires_lg(self, error: IpernityError) -> bool:
        """Return whether the failed call succeeds with a language."""
        if self._settings.lg is not None or error.code is not None:
            return False
        try:
            with self._settings.brief_client(auth="signature", token=None, lg="en") as client:
                client.call("test.echo", echo="hello")
        except IpernityError:
            return False
        return True

    def _check_clock(self, reply: Payload) -> Finding:
        ahead = ahead_of_service(reply)
        words = describe_offset(ahead)
        sentence = f"{words[0].upper()}{words[1:]}."
        if ahead is None or abs(ahead) <= _CLOCK_MATTERS_SECONDS:
            return Finding("clock", "ok", sentence)
        matters = "This matters with OAuth only, not with the service's own signature."
        return Finding("clock", "warning", f"{sentence} {matters}")

    def _check_account(self, client: IpernityClient) -> Iterator[Finding]:
        # With OAuth the method still requires its own parameter, and accepts the OAuth token.
        auth_token = self._settings.token if self._settings.auth == "oauth" else None
        try:
            reply = client.call("auth.checkToken", auth_token=auth_token)
        except IpernityError as error:
            yield Finding("token", "failed", self._explain_refused_token(error))
            return
        self._differences += find_differences("auth.checkToken", reply, TOKEN)
        try:
            token = parse(Token, reply, "auth.checkToken", "auth")
        except ReplyInvalid as error:
            yield Finding("token", "failed", explain(error))
            return
        owner = token.username or "an unnamed account"
        yield Finding("token", "ok", f"The token belongs to {owner}.")
        held = f"The token allows doc: {token.permissions.get('doc', 'none')}"
        if token.allows("doc", "write"):
            yield Finding("permission", "ok", f"{held}.")
        else:
            needed = f"{held}, but replacing needs doc: write. {self._renew}"
            yield Finding("permission", "failed", needed)
        yield self._check_pro(reply, token)
        yield self._check_quota(client, token)
        yield self._check_answers(client, token)
        yield self._recall_probe()

    def _explain_refused_token(self, error: IpernityError) -> str:
        if error.code == 107:
            return f"The token is wrong or was revoked (code 107). {self._renew}"
        if error.code == 105 and self._settings.auth == "oauth":
            return f"The token secret does not belong to the token (code 105). {self._renew}"
        return explain(error)

    def _check_pro(self, reply: Payload, token: Token) -> Finding:
        if token.is_pro:
            return Finding("account", "ok", "The account is PRO.")
        is_reported = "is_pro" in as_map(as_map(reply.get("auth")).get("user"))
        unknown = "The service does not say whether the account is PRO"
        what = "The account is not PRO" if is_reported else unknown
        return Finding("account", "warning", f"{what}: replacing may be refused.")

    def _check_quota(self, client: IpernityClient, token: Token) -> Finding:
        if not token.allows("doc", "write"):
            return Finding("quota", "skipped", "Not checked, because that needs doc: write.")
        try:
            reply = client.call("account.getQuota")
            self._differences += find_differences("account.getQuota", reply, QUOTA)
            quota = parse(Quota, reply, "account.getQuota", "quota")
        except IpernityError as error:
            return Finding("quota", "failed", explain(error))
        volume = "this month's upload volume"
        if quota.unlimited:
            return Finding("quota", "ok", "This month's upload volume is unlimited.")
        if quota.left_bytes is None:
            unknown = f"The service does not say what is left of {volume}."
            return Finding("quota", "warning", unknown)
        if quota.left_bytes <= 0:
            used = "This month's upload volume is used up. Wait for the next month."
            return Finding("quota", "failed", used)
        return Finding("quota", "ok", f"{quota.left_bytes / 2**20:,.0f} MiB are left of {volume}.")

    def _recall_probe(self) -> Finding:
        """Say what an earlier probe found of replacing; without a call."""
        if (found := self._settings.findings) is None:
            unknown = "It is not known whether this account replaces files in place."
            learn = "`airflow ipernity probe --store` finds it out."
            return Finding("probe", "ok", f"{unknown} {learn}")
        day = f"As probed on {found.probed_on}, this account"
        new = sorted(found.makes_new_document)
        if new:
            refused = "These are refused unless on_new_document says what to do."
            sentence = f"{day} gets a new document for: {', '.join(new)}. {refused}"
            return Finding("probe", "warning", sentence)
        in_place = sorted(
            media for media, facts in found.media.items() if facts["replace"] == "in_place"
        )
        if in_place:
            return Finding("probe", "ok", f"{day} replaces in place: {', '.join(in_place)}.")
        return Finding("probe", "warning", f"{day} was not seen to replace a file.")

    def _check_answers(self, client: IpernityClient, token: Token) -> Finding:
        try:
            reply = client.call("doc.getList", user_id=token.user_id or None, per_page=1)
        except IpernityError as error:
            return Finding("answers", "failed", explain(error))
        self._differences += find_list_differences(reply)
        if not self._differences:
            return Finding("answers", "ok", "The answers look as expected.")
        changes = "; ".join(self._differences)
        changed = f"The service's answers have changed: {changes}. Please report this."
        return Finding("answers", "warning", changed)


def _in_time(seconds: float, results: Iterator[T]) -> Iterator[T]:
    """Yield the results as they come, within a limit of seconds in all.

    A name server or a slow answer can make a call take longer than its own timeout.

    :raises TimeoutError: no further one, and no end, came within so many seconds in all; what still
        runs is left alone, and nothing is begun after it.
    """
    arrived: SimpleQueue[T | _Ended] = SimpleQueue()
    over = Event()

    def work() -> None:
        try:
            for result in results:
                if over.is_set():
                    return
                arrived.put(result)
            arrived.put(_Ended(None))
        except Exception as error:  # noqa: BLE001 - it is raised again where somebody listens
            arrived.put(_Ended(error))

    Thread(target=work, daemon=True).start()
    end = monotonic() + seconds
    while True:
        try:
            result = arrived.get(timeout=max(0.0, end - monotonic()))
        except Empty:
            over.set()
            raise TimeoutError(f"There was no answer within {seconds:g} s in all.") from None
        if isinstance(result, _Ended):
            if result.error:
                raise result.error
            return
        yield result


class _Ended:
    def __init__(self, error: Exception | None) -> None:
        self.error = error
