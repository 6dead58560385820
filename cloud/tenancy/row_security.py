"""Migration operations that fence tenants off in the database itself.

`EnableRowSecurity` makes a table show and take rows of the organization in scope only, for its owner too.
`TenantForeignKey` makes a reference carry the organization, because PostgreSQL checks foreign keys without row
security: a plain one would let a row point into another tenant. A test proves that no tenant table and no reference
lacks them. Tests: tests/integration/cloud/tenancy/test_row_security.py.
"""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from cloud.tenancy import database_roles

# The sub-select is evaluated once a statement, so that the condition stays cheap when it becomes a filter. After a
# transaction the setting is '' and not NULL: hence NULLIF.
IN_SCOPE = "{column} = (SELECT NULLIF(current_setting('app.organization_id', true), '')::uuid)"


class _TableOperation(Operation):
    """SQL about one table, leaving Django's model state alone."""

    reversible = True
    reduces_to_sql = True

    def __init__(self, table: str) -> None:
        self.table = table

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The model state does not change."""

    def forward_sql(self) -> list[str]:
        """The statements, in order."""
        raise NotImplementedError

    def backward_sql(self) -> list[str]:
        """The statements that undo them."""
        raise NotImplementedError

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        """Apply."""
        for statement in self.forward_sql():
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        """Undo."""
        for statement in self.backward_sql():
            schema_editor.execute(statement, params=None)


class EnableRowSecurity(_TableOperation):
    """Force row-level security on a table, by the column that holds its organization's id."""

    def __init__(self, table: str, *, column: str = "organization_id", is_read_by_owner: bool = False) -> None:
        """`is_read_by_owner`: for the look-up functions, which run with the owner's rights."""
        super().__init__(table)
        self.column = column
        self.is_read_by_owner = is_read_by_owner

    def forward_sql(self) -> list[str]:
        """One policy for the tenant, and one for the operator alone: as an OR it would cost the index."""
        condition = IN_SCOPE.format(column=self.column)
        lookup = [f"CREATE POLICY lookup ON {self.table} FOR SELECT TO CURRENT_USER USING (true)"]
        return [
            f"ALTER TABLE {self.table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {self.table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant ON {self.table} USING ({condition}) WITH CHECK ({condition})",
            f"CREATE POLICY operator ON {self.table} TO {database_roles.OPERATOR} USING (true) WITH CHECK (true)",
            *(lookup if self.is_read_by_owner else []),
        ]

    def backward_sql(self) -> list[str]:
        """Drop the policies, then the fence."""
        return [
            f"DROP POLICY IF EXISTS lookup ON {self.table}",
            f"DROP POLICY operator ON {self.table}",
            f"DROP POLICY tenant ON {self.table}",
            f"ALTER TABLE {self.table} NO FORCE ROW LEVEL SECURITY",
            f"ALTER TABLE {self.table} DISABLE ROW LEVEL SECURITY",
        ]

    def describe(self) -> str:
        """For `migrate --plan`."""
        return f"Force row-level security on {self.table}"


class OperatorOnly(_TableOperation):
    """Hide a table of no tenant from everyone but the operator, and the owner's own functions."""

    def forward_sql(self) -> list[str]:
        """Two policies, neither of which is the application's."""
        return [
            f"ALTER TABLE {self.table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {self.table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY operator ON {self.table} TO {database_roles.OPERATOR} USING (true) WITH CHECK (true)",
            f"CREATE POLICY owner ON {self.table} TO CURRENT_USER USING (true) WITH CHECK (true)",
        ]

    def backward_sql(self) -> list[str]:
        """Drop the policies, then the fence."""
        return [
            f"DROP POLICY owner ON {self.table}",
            f"DROP POLICY operator ON {self.table}",
            f"ALTER TABLE {self.table} NO FORCE ROW LEVEL SECURITY",
            f"ALTER TABLE {self.table} DISABLE ROW LEVEL SECURITY",
        ]

    def describe(self) -> str:
        """For `migrate --plan`."""
        return f"Show {self.table} to the operator only"


class TenantForeignKey(_TableOperation):
    """Reference (organization_id, id) of another tenant table, so that no row points across tenants.

    The target needs a unique constraint on (organization_id, id); the model's own field says `db_constraint=False`."""

    def __init__(self, table: str, column: str, target: str) -> None:
        super().__init__(table)
        self.column = column
        self.target = target

    @property
    def name(self) -> str:
        """The constraint's name."""
        return f"{self.table}_{self.column}_tenant"

    def forward_sql(self) -> list[str]:
        """Checked at once, so that the statement at fault is the one that fails."""
        return [
            f"ALTER TABLE {self.table} ADD CONSTRAINT {self.name} FOREIGN KEY (organization_id, {self.column}) "
            f"REFERENCES {self.target} (organization_id, id)"
        ]

    def backward_sql(self) -> list[str]:
        """Drop it."""
        return [f"ALTER TABLE {self.table} DROP CONSTRAINT {self.name}"]

    def describe(self) -> str:
        """For `migrate --plan`."""
        return f"Tie {self.table}.{self.column} to {self.target} of the same organization"


class AppendOnly(_TableOperation):
    """Refuse to change or delete rows of a table, whoever asks; `privileges` denies the right to ask as well."""

    def forward_sql(self) -> list[str]:
        """A trigger a table, on one function."""
        return [
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$",
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {self.table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        ]

    def backward_sql(self) -> list[str]:
        """Drop the trigger; the function stays for the other tables."""
        return [f"DROP TRIGGER append_only ON {self.table}"]

    def describe(self) -> str:
        """For `migrate --plan`."""
        return f"Make {self.table} append-only"
