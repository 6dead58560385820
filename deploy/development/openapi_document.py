"""Writes docs/openapi.json: /api/cloud/v1 as its routes describe themselves.

Generated, so that the document cannot say what the code does not; tests/integration/cloud/rest/test_openapi.py fails
while it is behind. Called by `make docs`.
"""

import os
from pathlib import Path

import django

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


def main() -> None:
    """Write the document."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cloud.config.settings.test")
    # The settings would start a database server, for which this has no use.
    os.environ.setdefault("DATABASE_URL", "postgresql:///unused")
    django.setup()
    from cloud.rest import routes  # noqa: PLC0415 - not before Django is set up

    DOCUMENT.write_text(routes.document_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
