"""Writes docs/openapi.json and docs/openapi-machines.json: /api/cloud/v1 as its routes describe themselves, and /api/v2
as the table of operations does.

Generated, so that the documents cannot say what the code does not; tests/integration/cloud/rest/test_openapi.py and
tests/integration/cloud/relay/test_openapi.py fail while they are behind. Called by `make docs`.
"""

import os
from pathlib import Path

import django

from relay import http

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
MACHINES = DOCUMENT.with_name("openapi-machines.json")


def main() -> None:
    """Write the documents."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cloud.config.settings.test")
    # The settings would start a database server, for which this has no use.
    os.environ.setdefault("DATABASE_URL", "postgresql:///unused")
    django.setup()
    from cloud.rest import routes  # noqa: PLC0415 - not before Django is set up

    DOCUMENT.write_text(routes.document_text(), encoding="utf-8")
    MACHINES.write_bytes(http.document())


if __name__ == "__main__":
    main()
