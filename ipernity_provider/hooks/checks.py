"""Check a connection step by step: for ``airflow ipernity check`` and Airflow's Test button."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ipernity_provider.api import clock
from ipernity_provider.api.client import DEFAULT_BASE_URL, IpernityClient
from ipernity_provider.api.errors import IpernityError, ReplyInvalid
from ipernity_provider.api.models import Quota, Token
from ipernity_provider.api.network_errors import host_of
from ipernity_provider.api.parsing import Payload, as_map
from ipernity_provider.hooks import shapes
from ipernity_provider.hooks.deadline import in_time
from ipernity_provider.hooks.explain import explain
from ipernity_provider.hooks.settings import ConnectionSettings

_CLOCK_MATTERS_SECONDS = 60.0

#: The checks in their order.
CHECKS = ("service", "clock", "token", "permission", "account", "quota", "answers")


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    :param sentence: for a person, without secrets.
    """

    check: str
    status: Literal["ok", "warning", "failed", "skipped"]
    sentence: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class Checks:
    """The checks of one connection; each asks the service once.

    :param conn_id: its id, for the command that renews its token.
    """

    def __init__(self, settings: ConnectionSettings, conn_id: str) -> None:
        self._settings = settings
        self._host = host_of(settings.base_url or DEFAULT_BASE_URL)
        oauth = " --oauth" if settings.auth == "oauth" else ""
        self._renew = f"run `airflow ipernity authorize --conn-id {conn_id} --overwrite{oauth}`"
        self._ahead: float | None = None
        self._differences: list[str] = []

    def run(self, seconds: float) -> Iterator[Finding]:
        """Yield the findings, until one leaves nothing more to ask or the time is over.

        :param seconds: for all checks together; the one that takes longer is reported as failed.
        """
        done = 0
        try:
            for finding in in_time(seconds, self._findings()):
                done += 1
                yield finding
        except TimeoutError as late:
            if done < len(CHECKS):
                yield Finding(CHECKS[done], "failed", str(late))

    def _findings(self) -> Iterator[Finding]:
        # The service's own signature, for it needs no clock and no token.
        with self._client(auth="signature", token=None) as client:
            try:
                reply = client.call("test.echo", echo="hello")
            except IpernityError as error:
                yield from self._no_echo(error)
                return
        yield self._service(reply)
        yield self._clock(reply)
        if not self._settings.token:
            yield Finding("token", "failed", f"The connection has no token: {self._renew}.")
            return
        with self._client() as client:
            yield from self._ask_with_token(client)

    def _client(self, **changes: Any) -> IpernityClient:
        return self._settings.brief_client(**changes)

    # -- key and clock -------------------------------------------------------------------------------------------

    def _service(self, reply: Payload) -> Finding:
        if reply.get("echo") != "hello":
            self._differences.append("test.echo does not repeat what it is told")
        return Finding("service", "ok", f"{self._host} answers and knows the API key.")

    def _no_echo(self, error: IpernityError) -> Iterator[Finding]:
        if error.code == 105:  # which cannot be told of a key that is not known
            yield Finding("service", "ok", f"{self._host} answers and knows the API key.")
            yield Finding("clock", "skipped", "Not checked, because of the failure below.")
            yield Finding("token", "failed", explain(error))
        elif self._lg_is_missed(error):
            sentence = "The service refuses calls without `lg`: remove it from the connection's extra, or set it to en."
            yield Finding("service", "failed", sentence)
        else:
            yield Finding("service", "failed", explain(error))

    def _lg_is_missed(self, error: IpernityError) -> bool:
        """Whether the same call passes with a language."""
        if self._settings.lg is not None or error.code is not None:
            return False
        try:
            with self._client(auth="signature", token=None, lg="en") as client:
                client.call("test.echo", echo="hello")
        except IpernityError:
            return False
        return True

    def _clock(self, reply: Payload) -> Finding:
        self._ahead = clock.ahead_of_service(reply)
        words = clock.describe_offset(self._ahead)
        sentence = f"{words[0].upper()}{words[1:]}."
        if self._ahead is None or abs(self._ahead) <= _CLOCK_MATTERS_SECONDS:
            return Finding("clock", "ok", sentence)
        return Finding(
            "clock", "warning", f"{sentence[:-1]}; OAuth minds, the service's own signature does not."
        )

    # -- token, permission, account, quota -----------------------------------------------------------------------

    def _ask_with_token(self, client: IpernityClient) -> Iterator[Finding]:
        # With OAuth the method still requires its documented parameter, and takes the OAuth token for it.
        token_field = self._settings.token if self._settings.auth == "oauth" else None
        try:
            reply = client.call("auth.checkToken", auth_token=token_field)
        except IpernityError as error:
            yield Finding("token", "failed", self._refused_token(error))
            return
        self._differences += shapes.differences("auth.checkToken", reply, shapes.TOKEN)
        try:
            token = Token.from_reply(reply)
        except ReplyInvalid as error:
            yield Finding("token", "failed", explain(error))
            return
        yield Finding("token", "ok", f"The token belongs to {token.username or 'somebody'}.")
        yield self._permission(token)
        yield self._account(reply, token)
        yield self._quota(client, token)
        yield self._answers(client, token)

    def _refused_token(self, error: IpernityError) -> str:
        if error.code == 107:
            return f"The token is wrong or was revoked (code 107): {self._renew}."
        if error.code == 105 and self._settings.auth == "oauth":
            return f"The token secret does not belong to the token (code 105): {self._renew}."
        return explain(error)

    def _permission(self, token: Token) -> Finding:
        held = token.permissions.get("doc", "none")
        if token.allows("doc", "write"):
            return Finding("permission", "ok", f"The token allows doc: {held}.")
        return Finding(
            "permission",
            "failed",
            f"The token allows doc: {held}, but replacing needs doc: write: {self._renew}.",
        )

    def _account(self, reply: Payload, token: Token) -> Finding:
        if token.is_pro:
            return Finding("account", "ok", "The account is PRO.")
        told = "is_pro" in as_map(as_map(reply.get("auth")).get("user"))
        what = "The account is not PRO" if told else "The service does not say whether the account is PRO"
        return Finding("account", "warning", f"{what}: replacing may be refused.")

    def _quota(self, client: IpernityClient, token: Token) -> Finding:
        if not token.allows("doc", "write"):
            return Finding("quota", "skipped", "Not checked, because that needs doc: write.")
        try:
            reply = client.call("account.getQuota")
            self._differences += shapes.differences("account.getQuota", reply, shapes.QUOTA)
            quota = Quota.from_reply(reply)
        except IpernityError as error:
            return Finding("quota", "failed", explain(error))
        if quota.unlimited:
            return Finding("quota", "ok", "This month's upload volume is unlimited.")
        left = quota.left_bytes
        if left is None:
            return Finding(
                "quota", "warning", "The service does not say what is left of this month's upload volume."
            )
        if left <= 0:
            return Finding(
                "quota", "failed", "This month's upload volume is used up: wait for the next month."
            )
        return Finding("quota", "ok", f"{left / 2**20:,.0f} MiB are left of this month's upload volume.")

    # -- answers -------------------------------------------------------------------------------------------------

    def _answers(self, client: IpernityClient, token: Token) -> Finding:
        try:
            reply = client.call("doc.getList", user_id=token.user_id or None, per_page=1)
        except IpernityError as error:
            return Finding("answers", "failed", explain(error))
        self._differences += shapes.list_differences(reply)
        if not self._differences:
            return Finding("answers", "ok", "The answers look as expected.")
        return Finding(
            "answers",
            "warning",
            f"The service's answers have changed: {'; '.join(self._differences)}; please report this.",
        )
