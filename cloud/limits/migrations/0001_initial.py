import django.db.models.deletion
from django.db import migrations, models

import local_daemon.protocol.ids
from cloud.tenancy import row_security


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("access", "0001_initial"),
        ("tenancy", "0002_audit_fence"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageCursor",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="tenancy.organization",
                    ),
                ),
                ("event_id", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="RateBucket",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        editable=False,
                        help_text="The organization's or the token's id.",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("level", models.FloatField()),
                ("granted", models.FloatField(help_text="What the last lease was given.")),
                ("at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.CASCADE, to="tenancy.organization"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Limit",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("calls_per_minute", models.PositiveIntegerField(blank=True, null=True)),
                ("calls_burst", models.PositiveIntegerField(blank=True, null=True)),
                ("runs_at_once", models.PositiveIntegerField(blank=True, null=True)),
                ("artifact_bytes_per_day", models.PositiveBigIntegerField(blank=True, null=True)),
                (
                    "cost_micros_per_month",
                    models.PositiveBigIntegerField(blank=True, help_text="Millionths of a US dollar.", null=True),
                ),
                ("version", models.PositiveIntegerField(default=1)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="tenancy.organization"
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="Empty: all.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="access.token",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "token"), name="limits_limit_once", nulls_distinct=False
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RunStart",
            fields=[
                ("call_id", models.CharField(editable=False, max_length=31, primary_key=True, serialize=False)),
                ("token_id", models.UUIDField(blank=True, null=True)),
                (
                    "run_id",
                    models.CharField(blank=True, help_text="Empty until the machine has answered.", max_length=31),
                ),
                ("started_at", models.DateTimeField()),
                (
                    "expires_at",
                    models.DateTimeField(help_text="From when on a start without an answer counts no more."),
                ),
                ("is_over", models.BooleanField(default=False)),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="tenancy.organization",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("is_over", False)), fields=["organization"], name="limits_start_open"
                    ),
                    models.Index(fields=["organization", "run_id"], name="limits_start_run"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("token_id", models.UUIDField(blank=True, null=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[("artifact_bytes", "Artifact Bytes"), ("cost_micros", "Cost Micros")], max_length=16
                    ),
                ),
                ("day", models.DateField()),
                ("amount", models.BigIntegerField()),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="tenancy.organization",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "kind", "day", "token_id"),
                        name="limits_usage_once",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        row_security.EnableRowSecurity("limits_limit"),
        row_security.EnableRowSecurity("limits_ratebucket"),
        row_security.EnableRowSecurity("limits_usage"),
        row_security.EnableRowSecurity("limits_usagecursor"),
        row_security.EnableRowSecurity("limits_runstart"),
        row_security.TenantForeignKey("limits_limit", "token_id", "access_token"),
        # A lease waits for no disk: what a crash forgets is a bucket, which is then full.
        migrations.RunSQL("ALTER TABLE limits_ratebucket SET UNLOGGED", "ALTER TABLE limits_ratebucket SET LOGGED"),
    ]
