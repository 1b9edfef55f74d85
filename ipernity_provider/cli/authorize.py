"""``authorize``: API key and secret, the owner's consent, the token, the connection."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ipernity_provider.api.errors import IpernityError, TransientError
from ipernity_provider.api.models import LEVELS
from ipernity_provider.cli import connection as connections
from ipernity_provider.cli import desktop_flow, metastore, oauth_flow
from ipernity_provider.cli.errors import CommandFailed, exit_on_error
from ipernity_provider.cli.loopback import LoopbackCallback
from ipernity_provider.cli.terminal import open_in_browser, say, wait_for_enter
from ipernity_provider.hooks.checks import explain
from ipernity_provider.hooks.connection import ConnectionSettings

if TYPE_CHECKING:
    from airflow.sdk import Connection

_LONGEST_WAIT = 86400.0
_AREAS = ("doc", "blog", "post", "network", "profile")
_NO_CONSENT_GIVEN = (
    "The service gives no token (code {code}): the consent was refused or not given, or the {what} "
    "has expired or was used. Run the command again."
)
_NO_CONSENT_IN_TIME = (
    "There was no consent within {seconds:g} s: it was refused, not given, or given too late. "
    "Run the command again."
)


@exit_on_error()
def authorize(options: Namespace) -> None:
    """Obtain a user's token, and store or print the connection with it."""
    if not 0 < options.timeout <= _LONGEST_WAIT:
        raise CommandFailed(f"--timeout must be above 0 and at most {_LONGEST_WAIT:.0f} seconds.")
    permissions = parse_permissions(options.permission or ())
    connections.require_valid_options(options)
    draft = connections.draft_connection(options, _saved_connection(options))
    settings = connections.read_settings(draft)
    authorize_by = _authorize_by_oauth if options.oauth else _authorize_by_frob
    try:
        token = authorize_by(options, settings, permissions)
    except IpernityError as error:
        raise CommandFailed(explain_authorization(error)) from None
    connection = connections.complete_connection(draft, settings, token)
    # The service gives a token once, so it is kept before it is checked.
    if options.output == "store":
        _store(connection, overwrite=options.overwrite)
        print(f"Connection {connection.conn_id!r} is stored.", flush=True)
    else:
        say("What follows on stdout is secret.")
        printed = connections.as_json(connection)
        if options.output == "env":
            variable = connections.environment_variable(connection.conn_id)
            printed = f"{variable}={shlex.quote(printed)}"
        print(printed, flush=True)
    _introduce(connections.read_settings(connection))


def parse_permissions(options: Iterable[str]) -> dict[str, str]:
    """Return the consent link's parameters: ``doc: write``, changed by ``AREA=LEVEL`` options.

    :raises CommandFailed: an area or a level does not exist.
    """
    parameters = {"perm_doc": "write"}
    for option in options:
        area, _, level = option.partition("=")
        allowed = LEVELS[1:3] if area == "profile" else LEVELS[1:]
        if area not in _AREAS or level not in allowed:
            raise CommandFailed(
                f"--permission {option} is not valid: the areas are {', '.join(_AREAS)}, "
                "the levels read, write and (except for profile) delete."
            )
        parameters[f"perm_{area}"] = level
    return parameters


def _saved_connection(options: Namespace) -> Connection | None:
    """Return the connection as it is so far.

    :raises CommandFailed: the new one is to be stored, and cannot be.
    """
    if options.output == "store":
        try:
            metastore.require_storable(options.conn_id, overwrite=options.overwrite)
        except metastore.DatabaseUnusable as error:
            raise CommandFailed(f"{error} --output json needs no database.") from None
    elif all(connections.given_credentials(options)) and not options.overwrite:
        return None  # nothing is missing, so no database is needed
    return metastore.find_connection(options.conn_id)


def _store(connection: Connection, *, overwrite: bool) -> None:
    """Store the connection, or save it to a file and raise CommandFailed."""
    try:
        metastore.store_connection(connection, overwrite=overwrite)
    except Exception as error:  # noqa: BLE001 - the token must not be lost, whatever happens
        why = str(error).rstrip(".") if isinstance(error, CommandFailed) else type(error).__name__
        path = shlex.quote(connections.save_to_file(connection))
        raise CommandFailed(
            f"The token was issued, but the connection could not be stored: {why}. It is saved in "
            f"a secret file. Run `airflow connections import {path}`, then delete the file."
        ) from None


def _authorize_by_frob(
    options: Namespace, settings: ConnectionSettings, permissions: dict[str, str]
) -> dict[str, str]:
    with settings.client(attempts=1) as client:
        frob = desktop_flow.fetch_frob(client)
        _show(desktop_flow.consent_url(settings, frob, permissions), options)
        # Asking before the consent might use up the frob, so wait for Enter if there is a stdin.
        if not options.poll and wait_for_enter("Press Enter when you have consented."):
            return desktop_flow.exchange(client, frob)
        say(f"Waiting up to {options.timeout:g} s for the consent.")
        token = desktop_flow.poll(client, frob, options.timeout)
    if token is None:
        raise CommandFailed(_NO_CONSENT_IN_TIME.format(seconds=options.timeout))
    return token


def _authorize_by_oauth(
    options: Namespace, settings: ConnectionSettings, permissions: dict[str, str]
) -> dict[str, str]:
    if options.no_browser:
        flow = oauth_flow.OAuthFlow(settings, oauth_flow.OUT_OF_BAND)
        _show(flow.start(permissions), options)
        if not wait_for_enter("Press Enter when you have consented."):
            raise CommandFailed("Enter cannot be read from stdin. Run the command in a terminal.")
        return flow.finish()
    with LoopbackCallback() as callback:
        flow = oauth_flow.OAuthFlow(settings, callback.url)
        url = flow.start(permissions)
        callback.request_token = flow.request_token
        _show(url, options)
        say(f"Waiting up to {options.timeout:g} s for the browser to return.")
        if not callback.has_returned.wait(options.timeout):
            raise CommandFailed(_NO_CONSENT_IN_TIME.format(seconds=options.timeout))
    return flow.finish()


def _show(url: str, options: Namespace) -> None:
    say(f"Open this address, log in to ipernity and allow the access:\n\n  {url}\n")
    if not options.no_browser:
        open_in_browser(url)


def _introduce(settings: ConnectionSettings) -> None:
    """Say whose token it is and whether it may replace files."""
    try:
        with settings.client(attempts=1) as client:
            owner = client.check_token()
    except IpernityError as error:
        why = explain_authorization(error)
        raise CommandFailed(f"The token was issued, but it could not be checked: {why}") from None
    kind = "PRO" if owner.is_pro else "not PRO, so replacing may be refused"
    say(f"Connected as {owner.username} ({kind}), doc: {owner.permissions.get('doc', 'none')}.")
    if not owner.allows("doc", "write"):
        say("Replacing needs doc: write.")


def explain_authorization(error: IpernityError) -> str:
    """Return what is wrong and what to do."""
    if error.method == "auth.getToken" and error.code in desktop_flow.NO_CONSENT_CODES:
        return _NO_CONSENT_GIVEN.format(code=error.code, what="frob")
    if error.method == oauth_flow.ACCESS and error.code == 107:
        return _NO_CONSENT_GIVEN.format(code=error.code, what="request token")
    explanation = explain(error)
    is_lost = isinstance(error, TransientError) and error.maybe_accepted
    if error.method == "auth.getToken" and is_lost:
        lost = "The answer may have held the token, which is given once. Run the command again."
        return f"{explanation} {lost}"
    return explanation
