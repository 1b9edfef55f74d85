"""``authorize``: key and secret, consent, token, check, connection."""

from __future__ import annotations

from argparse import Namespace

from ipernity_provider.api.errors import IpernityError
from ipernity_provider.cli import desktop_flow, stored
from ipernity_provider.cli.connection import ConnectionFields
from ipernity_provider.cli.ending import CommandFailed
from ipernity_provider.cli.explain import NO_CONSENT_IN_TIME, explain_authorization
from ipernity_provider.cli.known import known_application, known_connection, known_service
from ipernity_provider.cli.loopback import LoopbackCallback
from ipernity_provider.cli.oauth_flow import OUT_OF_BAND, OAuthFlow
from ipernity_provider.cli.permissions import Permissions, asked_permissions
from ipernity_provider.cli.service import Application, Service, UserToken
from ipernity_provider.cli.terminal import open_in_browser, say, wait_for_enter

_LONGEST_WAIT = 86400.0


def authorize(options: Namespace) -> None:
    """Carry out the command.

    :raises CommandFailed: it cannot be carried out.
    """
    if not 0 < options.timeout <= _LONGEST_WAIT:
        raise CommandFailed(f"--timeout must be above 0 and at most {_LONGEST_WAIT:.0f} seconds.")
    permissions = asked_permissions(options.permission or ())
    known = known_connection(options)
    service = known_service(options, known.service)
    application = known_application(options, known)
    try:
        token = (_by_oauth if options.oauth else _by_desktop)(options, service, application, permissions)
    except IpernityError as error:
        raise CommandFailed(explain_authorization(error)) from None
    # A token is given once, so it is kept before anything else is done with it.
    fields = ConnectionFields.of(options.conn_id, service, application, token, known.extra)
    if options.output == "store":
        _store(fields, overwrite=options.overwrite)
        print(f"Connection {fields.conn_id!r} is stored.", flush=True)
    else:
        say("What follows on stdout is secret.")
        if options.output == "add-command":
            say("Airflow's audit log keeps this command, with the token in it, where it is run.")
        print(fields.printed(options.output), flush=True)
    if doubt := _introduce(service, application, token):
        raise CommandFailed(f"The token is there, but it could not be checked: {doubt}")


def _store(fields: ConnectionFields, *, overwrite: bool) -> None:
    """:raises CommandFailed: it cannot be stored; then it is kept in a file."""
    try:
        stored.store(fields, overwrite=overwrite)
    except Exception as error:  # noqa: BLE001 - whatever it is, the token must not be lost
        why = str(error).rstrip(".") if isinstance(error, CommandFailed) else type(error).__name__
        place = fields.kept_in_a_file()
        raise CommandFailed(
            f"The token is there, but the connection could not be stored: {why}; it is kept in {place}, which is secret: "
            "`airflow connections import` takes that file, then delete it."
        ) from None


def _by_desktop(
    options: Namespace, service: Service, application: Application, permissions: Permissions
) -> UserToken:
    with service.client(application) as client:
        frob = desktop_flow.new_frob(client)
        _show(desktop_flow.consent_url(service, application, frob, permissions), options)
        # Asking too early might spend the frob, so a person's word comes first where there is one.
        if not options.poll and wait_for_enter("Press Enter when you have consented."):
            return desktop_flow.exchange(client, frob)
        say(f"Waiting for the consent, {options.timeout:g} s at the most.")
        token = desktop_flow.poll(client, frob, options.timeout)
    if token is None:
        raise CommandFailed(NO_CONSENT_IN_TIME.format(seconds=options.timeout))
    return token


def _by_oauth(
    options: Namespace, service: Service, application: Application, permissions: Permissions
) -> UserToken:
    if options.no_browser:
        flow = OAuthFlow(service, application, OUT_OF_BAND)
        _show(flow.start(permissions), options)
        if not wait_for_enter("Press Enter when you have consented."):
            raise CommandFailed("Nobody can press Enter here: run the command in a terminal.")
        return flow.finish()
    with LoopbackCallback() as callback:
        flow = OAuthFlow(service, application, callback.url)
        url = flow.start(permissions)
        callback.expect(flow.request_token)
        _show(url, options)
        say(f"Waiting for the browser to come back, {options.timeout:g} s at the most.")
        if not callback.wait(options.timeout):
            raise CommandFailed(NO_CONSENT_IN_TIME.format(seconds=options.timeout))
    return flow.finish()


def _show(url: str, options: Namespace) -> None:
    say(f"Open this address, log in to ipernity and allow the access:\n\n  {url}\n")
    if not options.no_browser:
        open_in_browser(url)


def _introduce(service: Service, application: Application, token: UserToken) -> str:
    """Say whose token it is; return why that is not known."""
    try:
        with service.client(application, token) as client:
            owner = client.check_token()
    except IpernityError as error:
        return explain_authorization(error)
    kind = "PRO" if owner.is_pro else "not PRO, so replacing may be refused"
    held = owner.permissions.get("doc", "none")
    say(f"Connected as {owner.username} ({kind}), doc: {held}.")
    if not owner.allows("doc", "write"):
        say("Replacing needs doc: write.")
    return ""
