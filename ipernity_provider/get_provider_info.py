"""What Airflow reads of this package."""

from __future__ import annotations

from typing import Any

#: The form's section for what every connection needs.
_ACCESS = "API key and token"
#: What the form says of the field that Airflow calls `password`.
_API_KEY_FIELD, _API_KEY_HINT = "API secret", "required: the secret of the API key"


def get_provider_info() -> dict[str, Any]:
    return {
        "package-name": "airflow-provider-ipernity",
        "name": "ipernity",
        "description": (
            "Replace the file behind a document on the photo service `ipernity"
            " <https://www.ipernity.com>`__."
        ),
        "integrations": [
            {
                "integration-name": "ipernity",
                "external-doc-url": "https://www.ipernity.com/help/api",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {"integration-name": "ipernity", "python-modules": ["ipernity_provider.hooks.ipernity"]}
        ],
        "operators": [
            {
                "integration-name": "ipernity",
                "python-modules": [
                    "ipernity_provider.operators.ipernity",
                    "ipernity_provider.operators.batch",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "ipernity",
                "python-modules": [
                    "ipernity_provider.sensors.ipernity",
                    "ipernity_provider.sensors.quota",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": "ipernity",
                "python-modules": [
                    "ipernity_provider.triggers.ipernity",
                    "ipernity_provider.triggers.quota",
                ],
            }
        ],
        "asset-uris": [
            {
                "schemes": ["ipernity"],
                "handler": "ipernity_provider.assets.ipernity.sanitize_uri",
                "factory": "ipernity_provider.assets.ipernity.create_asset",
                "to_openlineage_converter": (
                    "ipernity_provider.assets.ipernity.convert_asset_to_openlineage"
                ),
            }
        ],
        "cli": ["ipernity_provider.cli.definition.get_ipernity_cli_commands"],
        "config": {
            "ipernity": {
                "description": "The view *ipernity replacements* in Airflow's UI.",
                "options": {
                    "view_roots": {
                        "description": (
                            "Folders and object storage URIs, separated by commas, below which the"
                            " API server may read the reports and backups that tasks name. Empty:"
                            " it reads none."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/data/ipernity,s3://media/backups",
                        "default": "",
                    },
                    "view_pictures": {
                        "description": (
                            "Whether the view shows pictures of documents, asked of the service"
                            " with the task's connection."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": None,
                        "default": "True",
                    },
                },
            }
        },
        "extra-links": [
            "ipernity_provider.links.ipernity.DocumentLink",
            "ipernity_provider.links.ipernity.NewDocumentLink",
            "ipernity_provider.links.ipernity.ReportLink",
        ],
        "connection-types": [
            {
                "connection-type": "ipernity",
                "hook-class-name": "ipernity_provider.hooks.ipernity.IpernityHook",
                "hook-name": "ipernity",
                "ui-field-behaviour": {
                    # Not `port`: where none is stored, the Test button of Airflow 3.3.2 posts 0,
                    # finds that it differs, and answers "Bad Request" before it asks the hook. No
                    # default can be given here, only words.
                    "hidden-fields": ["login", "schema"],
                    "relabeling": {
                        "password": _API_KEY_FIELD,
                        "host": "Service address",
                        "port": "Port: type 0",
                    },
                    "placeholders": {
                        "password": _API_KEY_HINT,
                        "host": "leave empty for https://api.ipernity.com",
                        "port": "type 0, or the Test button answers: Bad Request",
                    },
                },
                "conn-fields": {
                    # A type without null is required: marked so, and nothing is saved without it.
                    "api_key": {
                        "label": "API key",
                        "description": "From https://www.ipernity.com/apps/key.",
                        "schema": {"type": "string", "section": _ACCESS},
                    },
                    "token": {
                        "label": "Token",
                        "description": (
                            "With the permission doc: write. The command airflow ipernity authorize"
                            " gets one and stores all of this."
                        ),
                        "schema": {"type": "string", "format": "password", "section": _ACCESS},
                    },
                    "auth": {
                        "label": "Kind of token",
                        "description": "signature: the service's own; oauth: OAuth 1.0a.",
                        "schema": {
                            "type": ["string", "null"],
                            "enum": ["signature", "oauth"],
                            "default": "signature",
                            "section": _ACCESS,
                        },
                    },
                    "token_secret": {
                        "label": "Token secret",
                        "description": "Required with oauth; else empty.",
                        "schema": {
                            "type": ["string", "null"],
                            "format": "password",
                            "section": _ACCESS,
                        },
                    },
                    "lg": {
                        "label": "Language",
                        "description": (
                            "Two letters, sent with each call; off sends none. The service is"
                            " reported to need it."
                        ),
                        "schema": {"type": ["string", "null"], "default": "en"},
                    },
                    "verify": {
                        "label": "Verify TLS",
                        "description": "true, false, or the path of a CA file.",
                        "schema": {"type": ["string", "null"], "default": "true"},
                    },
                    "proxy": {
                        "label": "Proxy",
                        "description": (
                            "E.g. http://proxy.example.org:3128; empty takes the environment's."
                        ),
                        "schema": {"type": ["string", "null"]},
                    },
                    "connect_timeout": {
                        "label": "Connect timeout (s)",
                        "description": "For a connection to be made.",
                        "schema": {"type": ["number", "null"], "minimum": 1, "default": 10},
                    },
                    "timeout": {
                        "label": "Timeout (s)",
                        "description": "For the answer to a call.",
                        "schema": {"type": ["number", "null"], "minimum": 1, "default": 30},
                    },
                    "upload_timeout": {
                        "label": "Upload timeout (s)",
                        "description": "For the answer once a file was sent.",
                        "schema": {"type": ["number", "null"], "minimum": 1, "default": 300},
                    },
                    "stall_timeout": {
                        "label": "Stall timeout (s)",
                        "description": "For each MiB of an upload to be taken by the network.",
                        "schema": {"type": ["number", "null"], "minimum": 1, "default": 60},
                    },
                    "upload_roots": {
                        "label": "Upload roots",
                        "description": (
                            "Folders or URIs that files may be sent from, one a line; none: from"
                            " anywhere."
                        ),
                        "schema": {"type": ["array", "null"], "items": {"type": "string"}},
                    },
                    "check_account": {
                        "label": "Check the account",
                        "description": "true or false: look at the account before sending.",
                        "schema": {"type": ["string", "null"], "default": "true"},
                    },
                    "resend_grace": {
                        "label": "Resend grace (s)",
                        "description": (
                            "How long an upload without an answer has to show up before it is sent"
                            " again."
                        ),
                        "schema": {"type": ["number", "null"], "minimum": 1, "default": 600},
                    },
                    "media_hosts": {
                        "label": "Media hosts",
                        "description": (
                            "Hosts that originals may be fetched from, besides the service's own,"
                            " one a line."
                        ),
                        "schema": {"type": ["array", "null"], "items": {"type": "string"}},
                    },
                },
            }
        ],
    }
