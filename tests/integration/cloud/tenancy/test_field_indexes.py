"""Looks at the database for indexes that are written and never needed: each begins another one."""

from collections.abc import Iterator

import psycopg
import pytest
from django.apps import apps
from django.conf import settings

from cloud.config import database_url

# The same columns from the first one on, in the same order and by the same rules, of all rows: whatever the one finds,
# the other does. A unique one is there for what it forbids.
_SPARE = """
    SELECT spare.indexrelid::regclass::text, other.indexrelid::regclass::text
      FROM pg_index spare JOIN pg_class kind ON kind.oid = spare.indexrelid
      JOIN pg_index other ON other.indrelid = spare.indrelid AND other.indexrelid <> spare.indexrelid
      JOIN pg_class other_kind ON other_kind.oid = other.indexrelid AND other_kind.relam = kind.relam
     WHERE spare.indrelid::regclass::text = ANY(%s)
       AND NOT spare.indisunique AND spare.indpred IS NULL AND spare.indexprs IS NULL
       AND other.indpred IS NULL AND other.indexprs IS NULL AND other.indisvalid
       AND other.indkey::text || ' ' LIKE spare.indkey::text || ' %%'
       AND other.indclass::text || ' ' LIKE spare.indclass::text || ' %%'
       AND other.indcollation::text || ' ' LIKE spare.indcollation::text || ' %%'
       AND other.indoption::text || ' ' LIKE spare.indoption::text || ' %%'
     ORDER BY 1, 2
"""
# What nobody looks for by how it begins: made for every text that is unique, and written with each call.
_BY_BEGINNING = """
    SELECT indexname FROM pg_indexes WHERE tablename IN ('dispatch_operationcall', 'limits_runstart')
       AND indexdef LIKE '%_pattern_ops%'
"""


@pytest.fixture
def owner(django_db_setup: None) -> Iterator[psycopg.Connection]:
    """The owner's connection, in a transaction that is rolled back."""
    with psycopg.connect(database_url.url_from_database(settings.DATABASES["owner"])) as connection:
        yield connection
        connection.rollback()


def spare_indexes(owner: psycopg.Connection) -> list[tuple[str, str]]:
    """Each with one that does its work too."""
    ours = [
        model._meta.db_table
        for app in apps.get_app_configs()
        if app.name.startswith("cloud.")
        for model in app.get_models()
    ]
    return owner.execute(_SPARE, [ours]).fetchall()


def test_no_index_only_begins_another(owner: psycopg.Connection) -> None:
    assert spare_indexes(owner) == [], "say db_index=False, and field_indexes.RemoveFieldIndexesConcurrently"


def test_one_that_does_is_seen(owner: psycopg.Connection) -> None:
    owner.execute("CREATE INDEX spare ON access_token (organization_id)")
    assert spare_indexes(owner) == [("spare", "access_token_tenant")]
    owner.execute("CREATE INDEX as_well ON access_token (organization_id DESC)")
    owner.execute("CREATE INDEX open_only ON access_token (organization_id) WHERE revoked_at IS NULL")
    assert spare_indexes(owner) == [("spare", "access_token_tenant")]


def test_no_call_is_written_to_an_index_of_how_its_id_begins(owner: psycopg.Connection) -> None:
    assert owner.execute(_BY_BEGINNING).fetchall() == []
