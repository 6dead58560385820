"""A migration operation that drops the indexes that references got of their own, where others begin with their column.

Django makes one for every reference; in a tenant's table each list has an index that begins with the organization and
answers all that the other one would, which then is only written. Deliberately told of no index by name: they are looked
up, so that a migration that was interrupted may run again. Tests: test_field_indexes.py and test_migrations.py in
tests/integration/cloud/tenancy/.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


class RemoveFieldIndexesConcurrently(NotInTransactionMixin, Operation):
    """As an `AlterField` to `db_index=False` each, without the lock that it takes on the table (ADR 0011).

    Fields are named `model.field`, all in one operation: Django renders every model anew after each."""

    atomic = False
    reversible = True

    def __init__(self, *fields: str) -> None:
        self.fields = fields

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The fields have no index."""
        for model_name, field_name in self._named():
            fields = state.models[app_label, model_name].fields
            fields[field_name] = fields[field_name].clone()
            fields[field_name].db_index = False
        state.reload_models([(app_label, model_name) for model_name, _ in self._named()], delay=False)

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        """Drop them, beside whoever reads and writes."""
        self._ensure_not_in_transaction(schema_editor)
        for model, field_name in self._of(app_label, schema_editor, to_state):
            for name in _own_indexes(schema_editor, model, field_name):
                schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema_editor.quote_name(name)}")

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        """Make them again, beside whoever reads and writes."""
        self._ensure_not_in_transaction(schema_editor)
        for model, field_name in self._of(app_label, schema_editor, to_state):
            index = models.Index(fields=[field_name])
            index.set_name_with_model(model)
            schema_editor.execute(index.create_sql(model, schema_editor, concurrently=True), params=None)

    def describe(self) -> str:
        """What it does, for `migrate` and `sqlmigrate`."""
        return f"Concurrently drop the own indexes of {', '.join(self.fields)}"

    def _named(self) -> Iterator[tuple[str, str]]:
        for field in self.fields:
            model_name, _, field_name = field.partition(".")
            yield model_name, field_name

    def _of(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, state: Any
    ) -> Iterator[tuple[type[models.Model], str]]:
        """The models that this database has, as the migration knows them."""
        for model_name, field_name in self._named():
            model = state.apps.get_model(app_label, model_name)
            if self.allow_migrate_model(schema_editor.connection.alias, model):
                yield model, field_name


def _own_indexes(schema_editor: BaseDatabaseSchemaEditor, model: type[models.Model], field_name: str) -> list[str]:
    """Those of this field alone that no model names."""
    field = model._meta.get_field(field_name)
    assert isinstance(field, models.ForeignKey), "Only references get an index unasked."
    _, column = field.get_attname_column()
    named = {index.name for index in model._meta.indexes}
    with schema_editor.connection.cursor() as cursor:
        found = schema_editor.connection.introspection.get_constraints(cursor, model._meta.db_table)
    return [
        name
        for name, facts in found.items()
        if facts["index"] and not facts["unique"] and facts["columns"] == [column] and name not in named
    ]
