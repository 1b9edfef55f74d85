"""The commands of ``airflow ipernity`` and their options; loaded at each start of Airflow."""

from __future__ import annotations

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

_CONN_ID = Arg(
    ("--conn-id",),
    default="ipernity_default",
    help="Airflow connection (default: ipernity_default)",
)

AUTHORIZE = ActionCommand(
    name="authorize",
    help="Get a token with the account owner's consent, and store it in an Airflow connection",
    description=(
        "Obtains a user's token, and stores or prints the Airflow connection with it. The API key "
        "comes from --api-key, the environment (IPERNITY_API_KEY) or the connection, if it exists; "
        "else the command asks for it. The API secret comes from the environment "
        "(IPERNITY_API_SECRET) or the connection; else the command asks for it and hides it. It "
        "is not an option because other users of the machine can see a command's options."
    ),
    func=lazy_load_command("ipernity_provider.cli.authorize.authorize"),
    args=(
        _CONN_ID,
        Arg(("--api-key",), help="API key, from https://www.ipernity.com/apps/key"),
        Arg(
            ("--oauth",),
            action="store_true",
            help="obtain an OAuth 1.0a token instead of the service's own kind",
        ),
        Arg(
            ("--permission",),
            action="append",
            metavar="AREA=LEVEL",
            help="another permission than doc=write, e.g. doc=delete or blog=read; may be repeated",
        ),
        Arg(
            ("--output",),
            choices=("store", "json", "env"),
            default="store",
            help="store the connection in Airflow, or print it, with its secrets (default: store)",
        ),
        Arg(
            ("--overwrite",),
            action="store_true",
            help="renew the token of a connection that exists; its other settings stay",
        ),
        Arg(
            ("--no-browser",),
            action="store_true",
            help="only print the consent address; with --oauth, wait for Enter instead of it",
        ),
        Arg(
            ("--poll",),
            action="store_true",
            help="request the token every 3 s instead of waiting for Enter (not with --oauth)",
        ),
        Arg(
            ("--timeout",),
            type=float,
            default=300.0,
            help="seconds to wait for the consent (default: 300)",
        ),
        Arg(("--host",), help="another address of API and website, e.g. a sandbox"),
        Arg(("--proxy",), help="address of a proxy; kept in the connection"),
        Arg(("--verify",), help="true, false, or the path of a CA file; kept in the connection"),
    ),
)

CHECK = ActionCommand(
    name="check",
    help="Check a connection step by step",
    description=(
        "Calls the service once for each check, for 12 s at most: is the key known, are secret and "
        "token accepted, may the token write, is the account PRO, how much may be uploaded, do the "
        "answers look as expected. Exit code 0: no check failed; 1: a check failed; "
        "2: the connection is missing or not valid."
    ),
    func=lazy_load_command("ipernity_provider.cli.check.check"),
    args=(
        _CONN_ID,
        # The name `output` makes Airflow keep its log lines off stdout.
        Arg(("--json",), action="store_true", dest="output", help="print one JSON object"),
    ),
)

DOCUMENTS = ActionCommand(
    name="documents",
    help="List the account's documents, or propose which local file belongs to which",
    description=(
        "Lists the documents of the token's owner, 100 in a call and two calls a second at most. "
        "With --match FOLDER it proposes pairs of a document and a local file instead, by md5, "
        "file name or capture time, for you to review; as CSV they are a manifest for "
        "ReplaceFilesOperator. What fits several documents or files is not paired, but reported. "
        "Nothing is changed. Exit code 0: done; 1: it failed; 2: the connection is missing or not "
        "valid."
    ),
    func=lazy_load_command("ipernity_provider.cli.documents.documents"),
    args=(
        _CONN_ID,
        Arg(("--album",), help="only this album: its number, or the address of its page"),
        Arg(("--text",), help="only what the service finds by this text, 3000 at most"),
        Arg(
            ("--since",),
            metavar="DATE",
            help="only what was posted since, e.g. 2026-01-31 or 2026-01-31T12:00 (UTC)",
        ),
        Arg(
            ("--media",),
            choices=("photo", "audio", "video", "other"),
            help="only this class of documents",
        ),
        Arg(("--match",), metavar="FOLDER", help="propose pairs with the files in and below it"),
        Arg(
            ("--format",),
            choices=("csv", "json", "table"),
            default="table",
            # This name makes Airflow keep its log lines off stdout.
            dest="output",
            help="how to print (default: table)",
        ),
    ),
)

PROBE = ActionCommand(
    name="probe",
    help="Measure what the service really does with this account",
    description=(
        "Sends small private files that it draws, replaces them, looks at the result, and prints "
        "what was found: is a file replaced in place or does a new document appear, where is its "
        "checksum shown, is lg needed, and more. It says what it will do and asks first, and "
        "deletes what it made if the token may. Whatever it makes is in a record on this machine "
        "first: after a crash the next start offers to clean up. Exit code 0: done; 1: it failed, "
        "or something is left that should not be; 2: it cannot start."
    ),
    func=lazy_load_command("ipernity_provider.cli.probe.probe"),
    args=(
        _CONN_ID,
        Arg(("--yes",), action="store_true", help="do not ask, for scripts"),
        Arg(
            ("--media",),
            default="photo",
            metavar="LIST",
            help="kinds of files, of photo,audio,video,document (default: photo)",
        ),
        Arg(("--save",), metavar="FILE", help="write the findings as JSON; no secret, id or name"),
        Arg(
            ("--store",),
            action="store_true",
            help="store the findings in the connection, where check and the operators read them",
        ),
        # The name `output` makes Airflow keep its log lines off stdout.
        Arg(("--json",), action="store_true", dest="output", help="print the findings as JSON"),
        Arg(
            ("--clean-up",),
            action="store_true",
            help="only clean up after earlier probes of this account",
        ),
        Arg(
            ("--timeout",),
            type=float,
            default=300.0,
            help="seconds to wait for each file to be processed (default: 300)",
        ),
    ),
)

_BACKUP_TO = Arg(
    ("--backup-to",),
    metavar="FOLDER",
    help="store the document's present file there first: a folder, or a URI of object storage",
)
_PROOF = Arg(
    ("--proof",),
    choices=("best", "md5", "bytes", "changed", "none"),
    default="best",
    help="what the document must show to count as replaced (default: best)",
)
_ON_NEW_DOCUMENT = Arg(
    ("--on-new-document",),
    choices=("fail", "keep", "transfer", "transfer_keep"),
    default="fail",
    help=(
        "if the service creates a document instead of replacing (default: fail); transfer "
        "(experimental) gives it all that the old one has, and makes that private"
    ),
)
_ON_UNCERTAIN = Arg(
    ("--on-uncertain",),
    choices=("fail", "send"),
    default="fail",
    help="if the service does not show whether an earlier upload arrived (default: fail)",
)
_YES = Arg(("--yes",), action="store_true", help="do not ask before sending")

REPLACE = ActionCommand(
    name="replace",
    help="Replace the file behind one document",
    description=(
        "Shows what will be replaced, asks, sends the file, and proves that the document carries "
        "it. What was sent is remembered in the user's state folder: after Ctrl-C or a crash, the "
        "same command asks the service before it sends anything. Exit code 0: the document carries "
        "the file, or the dry run found no obstacle; 1: it was not replaced; 2: the connection is "
        "missing or not valid, or there is no terminal to ask at; 3: the file was sent, and it is "
        "not known yet what became of it; 130: interrupted."
    ),
    func=lazy_load_command("ipernity_provider.cli.replace.replace"),
    args=(
        _CONN_ID,
        Arg(("doc",), metavar="DOC", help="the document's number, or the address of its page"),
        Arg(("file",), metavar="FILE", help="the new file: a path, or a URI of object storage"),
        Arg(("--dry-run",), action="store_true", help="check everything, send nothing"),
        _BACKUP_TO,
        _ON_NEW_DOCUMENT,
        Arg(("--filename",), help="the name that the service gets (default: the file's own)"),
        _PROOF,
        _ON_UNCERTAIN,
        _YES,
        # The name `output` makes Airflow keep its log lines off stdout.
        Arg(("--json",), action="store_true", dest="output", help="print the result as JSON"),
    ),
)

RESTORE = ActionCommand(
    name="restore",
    help="Give documents their previous originals back",
    description=(
        "Restores the document of one backup, or all documents of a report of "
        "ReplaceFilesOperator that has backups (.jsonl). Shows what will be replaced, asks, and "
        "restores one document after the other until one fails; the same command continues. Where "
        "another document has taken the place of one, that one is restored. A document that was "
        "replaced again since the report is left alone. Exit codes are those of replace."
    ),
    func=lazy_load_command("ipernity_provider.cli.restore.restore"),
    args=(
        _CONN_ID,
        Arg(
            ("source",),
            metavar="REPORT_OR_BACKUP",
            help="a report, or a backup whose name begins with its document's number",
        ),
        Arg(("--dry-run",), action="store_true", help="check everything, send nothing"),
        _BACKUP_TO,
        _ON_NEW_DOCUMENT,
        _PROOF,
        _ON_UNCERTAIN,
        _YES,
    ),
)

SANDBOX = ActionCommand(
    name="sandbox",
    help="Run the service's sandbox on this machine",
    func=lazy_load_command("ipernity_provider.cli.sandbox.sandbox"),
    args=(
        Arg(("--host",), default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"),
        Arg(("--port",), type=int, default=8765, help="port, 0 for a free one (default: 8765)"),
        Arg(
            ("--settings",),
            default="{}",
            metavar="JSON",
            help="settings as JSON, or @FILE with them",
        ),
        Arg(
            ("--like",),
            metavar="FILE",
            help="behave like the service in this file of `probe --save`; --settings come on top",
        ),
        Arg(
            ("--allow-host",),
            action="append",
            metavar="NAME",
            help="host name to answer to besides those of this machine; can be repeated",
        ),
        Arg(("--tls-cert",), metavar="FILE", help="certificate, to serve https"),
        Arg(("--tls-key",), metavar="FILE", help="the certificate's key"),
    ),
)


def get_ipernity_cli_commands() -> list[GroupCommand]:
    """Return what Airflow adds to its command line."""
    return [
        GroupCommand(
            name="ipernity",
            help="Connect to the photo service ipernity.com",
            subcommands=(AUTHORIZE, CHECK, DOCUMENTS, PROBE, REPLACE, RESTORE, SANDBOX),
        )
    ]
