"""Fences the audit's statements of pruning.

Here and not in the audit's own migration: the audit stands below tenancy and does not know it. Pruning is scheduled
work."""

from typing import ClassVar

from django.db import migrations

from cloud.tenancy import row_security


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("audit", "0002_pruning_and_pages"),
        ("tenancy", "0002_audit_fence"),
    ]

    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        row_security.EnableRowSecurity("audit_auditpruning"),
        row_security.AppendOnly("audit_auditpruning"),
    ]
