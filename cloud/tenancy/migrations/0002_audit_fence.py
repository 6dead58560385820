"""Fences the audit's tables.

Here and not in the audit's own migration: the audit stands below tenancy and does not know it."""

from typing import ClassVar

from django.db import migrations

from cloud.tenancy import row_security


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("tenancy", "0001_initial"), ("audit", "0001_initial")]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        row_security.EnableRowSecurity("audit_auditevent"),
        row_security.EnableRowSecurity("audit_auditseal"),
        row_security.EnableRowSecurity("audit_auditcheckpoint"),
        row_security.EnableRowSecurity("audit_auditrollup"),
        row_security.EnableRowSecurity("audit_auditrollupcursor"),
        row_security.AppendOnly("audit_auditevent"),
        row_security.AppendOnly("audit_auditseal"),
        row_security.AppendOnly("audit_auditcheckpoint"),
    ]
