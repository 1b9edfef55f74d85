"""IpernityHook: an Airflow Connection becomes an IpernityClient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

if TYPE_CHECKING:
    from datetime import date

    from ipernity_provider.api.client import IpernityClient
    from ipernity_provider.api.listing import OnPage
    from ipernity_provider.api.models import Document, MediaClass, Ticket
    from ipernity_provider.api.transport import Param
    from ipernity_provider.bulk.scheduler import OnError
    from ipernity_provider.hooks.connection import ConnectionSettings
    from ipernity_provider.hooks.parameters import Seconds
    from ipernity_provider.replacement.memory import DocumentMemory
    from ipernity_provider.replacement.request import ReplaceOptions

_TEST_SECONDS = 9.5
_TOLD_BY_TEST = {"token", "permission", "account", "quota"}


class IpernityHook(BaseHook):
    """Signed calls to ipernity.com with the settings of an Airflow connection.

    In a task, ``call``, ``check_tickets``, ``replace_file`` and ``replace_files`` write an error to
    its log in short lines, and one that no retry can mend ends the task at once. It still is an
    ``IpernityError`` that can be caught. A client from ``get_conn`` raises plain errors;
    :func:`~ipernity_provider.hooks.failures.readable_failures` around its calls does the same.

    :param ipernity_conn_id: the connection: password = API secret, extra = ``api_key``, ``auth``
        (``signature`` or ``oauth``), ``token``, ``token_secret``, ``lg``, ``verify``, ``proxy``,
        ``connect_timeout``, ``timeout``, ``upload_timeout``, ``stall_timeout``, ``upload_roots``,
        ``media_hosts``, ``check_account``, ``resend_grace``, ``findings``; host =
        another address of the service, such as the sandbox's.
    """

    conn_name_attr = "ipernity_conn_id"
    default_conn_name = "ipernity_default"
    conn_type = "ipernity"
    hook_name = "ipernity"

    def __init__(self, ipernity_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.ipernity_conn_id = ipernity_conn_id

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, read once.

        :raises ConnectionSettingError: a field is missing or wrong.
        """
        from airflow.sdk.log import mask_secret

        from ipernity_provider.hooks.connection import ConnectionSettings

        connection = self.get_connection(self.ipernity_conn_id)
        settings = ConnectionSettings.of(connection, connection.extra_dejson)
        for secret in settings.secrets:
            mask_secret(secret)
        return settings

    def get_conn(self) -> IpernityClient:
        """Return a new client; close it, or use it in a ``with``."""
        return self.settings.client()

    async def aget_conn_maker(self) -> Callable[[], IpernityClient]:
        """Return a factory of such a client, for an event loop.

        The connection is read here without blocking the loop. Call the factory in a worker thread:
        it loads HTTP libraries and certificates. The client tries each call once, because code in
        an event loop polls at its own interval.
        """
        from asgiref.sync import sync_to_async

        # Not aget_connection(): before Airflow 3.3.2 it can block the loop for ever, and masking
        # in a loop came with 3.3.
        settings = await sync_to_async(lambda: self.settings)()
        return partial(settings.client, attempts=1)

    def call(self, method: str, /, **params: Param) -> dict[str, Any]:
        """Call any API method and return its payload.

        Example: ``hook.call("doc.set", doc_id="5412", title="A boat")``.
        """
        from ipernity_provider.hooks.failures import readable_failures

        with readable_failures(self.log), self.get_conn() as client:
            return client.call(method, **params)

    def check_tickets(self, tickets: Iterable[str]) -> list[Ticket]:
        """Return the state of any number of upload tickets, requested in batches of 50."""
        from ipernity_provider.hooks.failures import readable_failures

        with readable_failures(self.log), self.get_conn() as client:
            return client.check_tickets(tickets)

    def list_documents(
        self,
        *,
        album: str | int | None = None,
        text: str | None = None,
        since: date | str | int | None = None,
        media: MediaClass | None = None,
        pause: Seconds = 0.5,
        on_page: OnPage | None = None,
    ) -> Iterator[Document]:
        """Yield the documents of the token's owner, page by page, with constant memory.

        As far as is known, the newest come first. A ``text`` finds 3000 documents at most.

        :param album: only those of this album: its number, or the address of its page.
        :param text: only those that the service finds by this text.
        :param since: only those posted since: a date, a datetime, ISO text (UTC where it names no
            time zone), or unix seconds.
        :param media: only ``photo``, ``audio``, ``video`` or ``other``.
        :param pause: from the start of one call to that of the next one, at least, in seconds or as
            timedelta; a call returns 100 documents.
        :param on_page: called after each page with the number of documents received, and their
            total if the service reports it.
        :raises ParameterError: a filter is not valid.
        """
        from dataclasses import replace

        from ipernity_provider.api.listing import iterate_documents
        from ipernity_provider.hooks.failures import readable_failures
        from ipernity_provider.hooks.parameters import require_seconds
        from ipernity_provider.hooks.search import read_filters

        filters = read_filters(album=album, text=text, since=since, media=media)
        seconds = require_seconds("pause", pause)

        def found() -> Iterator[Document]:
            with readable_failures(self.log), self.get_conn() as client:
                owner = client.check_token().user_id
                pages = f"{self.settings.website_url}/doc/{owner}"
                for document in iterate_documents(
                    client, owner, pause=seconds, on_page=on_page, **filters
                ):
                    # A list does not name the owner and the page of each.
                    link = document.link or f"{pages}/{document.doc_id}"
                    yield replace(document, owner_id=owner, link=link)

        return found()

    def replace_file(
        self,
        doc_id: str | int,
        file: Any,
        *,
        filename: str | None = None,
        file_conn_id: str | None = None,
        journal: bool = True,
        poll_interval: Seconds = 30.0,
        timeout: Seconds = 3600.0,
        **options: Any,
    ) -> dict[str, Any]:
        """Replace a document's file, wait and verify; for ``@task`` functions.

        In a task it remembers across retries what it has sent, as
        :class:`~ipernity_provider.operators.ipernity.ReplaceFileOperator` does.

        :param doc_id: the document's number, or the address of its page.
        :param file: a local path, a URI (``file://``, ``s3://``, ``gs://``, ``abfs://``), or an
            ``ObjectStoragePath``.
        :param filename: the name that the service is told; the file's own by default.
        :param file_conn_id: the connection to the storage of ``file`` and ``backup_to``, where
            their URIs name none.
        :param journal: whether to use the task's journal, one record for each document: a retry
            then does not send again what an earlier try has sent. Needs Airflow 3.3; without it a
            retry can only ask the service. Outside of a task there is none.
        :param poll_interval: longest pause between two looks at the ticket, in seconds or as
            timedelta.
        :param timeout: how long to wait for the service to process the file, in seconds or as
            timedelta.
        :param options: more of :class:`~ipernity_provider.replacement.request.ReplaceOptions`:
            ``proof``, ``if_unchanged``, ...
        :return: the result as a dict: ``outcome``, ``doc_id``, ``ticket``, ``md5``, ``proof``, ...
        :raises ParameterError: a flag is not a bool, or a duration is not one.
        """
        from ipernity_provider.hooks.replacing import replace_file

        options |= {"poll_interval": poll_interval, "timeout": timeout}
        return replace_file(
            self, doc_id, file, filename, file_conn_id, options=options, journal=journal
        )

    def replace_files(
        self,
        manifest: Any,
        *,
        on_error: OnError = "stop",
        max_parallel_uploads: int = 2,
        report_to: Any = None,
        file_conn_id: str | None = None,
        journal: bool = True,
        poll_interval: Seconds = 30.0,
        timeout: Seconds = 3600.0,
        **options: Any,
    ) -> dict[str, Any]:
        """Replace the files behind many documents, and wait; for ``@task`` functions.

        The parameters are those of
        :class:`~ipernity_provider.operators.ipernity.ReplaceFilesOperator`, ``journal`` and
        ``options`` those of :meth:`replace_file`. A task has one journal for this: call it once.

        :return: the summary: ``total``, how many came to what, ``bytes_sent``, ``report``.
        :raises BulkFailed: some rows were not replaced.
        :raises ParameterError: a flag is not a bool, or a number is not one.
        """
        from ipernity_provider.hooks.replacing import replace_files

        options |= {"poll_interval": poll_interval, "timeout": timeout}
        return replace_files(
            self,
            manifest,
            report_to,
            file_conn_id,
            on_error=on_error,
            max_parallel_uploads=max_parallel_uploads,
            options=options,
            journal=journal,
        )

    def memory(self, options: ReplaceOptions) -> DocumentMemory | None:
        """Return what is known of the service's documents; None where the options need it not."""
        return self.all_memory() if options.transfers or options.proof == "changed" else None

    def all_memory(self) -> DocumentMemory:
        """Return what is known of the service's documents."""
        from ipernity_provider.api.client import DEFAULT_BASE_URL
        from ipernity_provider.hooks.memory import VariableMemory

        return VariableMemory(self.settings.base_url or DEFAULT_BASE_URL)

    def replace_options(
        self, file_conn_id: str | None = None, *, backup_to: Any = None, **options: Any
    ) -> ReplaceOptions:
        """Return the options of a replacement.

        They are those that are given, and what the connection says about the account and the
        folders.

        :param options: more of :class:`~ipernity_provider.replacement.request.ReplaceOptions`, each
            of its own type.
        :raises Refused: something is not possible.
        """
        from ipernity_provider.hooks.files import as_folder
        from ipernity_provider.replacement.request import ReplaceOptions

        settings = self.settings
        facts = {"check_account": settings.check_account, "resend_grace": settings.resend_grace}
        found = settings.findings
        return ReplaceOptions(
            **{**facts, **options},
            backup_to=as_folder(backup_to, file_conn_id) if backup_to else None,
            upload_roots=settings.upload_roots,
            makes_new_document=found.makes_new_document if found else frozenset(),
        )

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the connection can replace files, and a message about it.

        The message is what ``airflow ipernity check`` reports.

        It takes 10 s at most and never raises.
        """
        from ipernity_provider.hooks.checks import Checks
        from ipernity_provider.hooks.connection import ConnectionSettingError

        try:
            settings = (
                self.settings
            )  # here, because Airflow may give connections to this thread only
            # Airflow tests a connection under a random id, which would only confuse.
            findings = list(Checks(settings, "CONNECTION_ID").run(_TEST_SECONDS))
        except ConnectionSettingError as error:
            return False, str(error).replace(
                f"Connection {self.ipernity_conn_id!r}", "This connection"
            )
        except Exception as error:  # noqa: BLE001 - Airflow shows the sentence, and only what is ours is safe to show
            return False, f"The test itself failed ({type(error).__name__})."
        failed = [finding.sentence for finding in findings if finding.status == "failed"]
        told = [f.sentence for f in findings if f.check in _TOLD_BY_TEST or f.status == "warning"]
        return not failed, " ".join(failed or told)
