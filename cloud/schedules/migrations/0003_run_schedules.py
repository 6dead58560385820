import django.db.models.deletion
from django.db import migrations, models

import local_daemon.protocol.ids
from cloud.tenancy import row_security


class Migration(migrations.Migration):
    dependencies = [
        ("schedules", "0002_scheduled_tasks"),
        ("tenancy", "0003_tenants"),
    ]

    operations = [
        migrations.CreateModel(
            name="RunSchedule",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("made_by", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=200)),
                ("objective", models.TextField()),
                ("tasks", models.JSONField(help_text="TaskSpecs; each becomes a step of the run.")),
                (
                    "location",
                    models.CharField(
                        blank=True, help_text="Which place of the project; empty: its only one.", max_length=64
                    ),
                ),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("cron", models.CharField(blank=True, max_length=200)),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                (
                    "when_away",
                    models.CharField(choices=[("skip", "Skip"), ("queue", "Queue")], default="skip", max_length=8),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("paused", "Paused"), ("done", "Done"), ("deleted", "Deleted")],
                        default="active",
                        max_length=8,
                    ),
                ),
                ("next_due_at", models.DateTimeField(blank=True, null=True)),
                ("version", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "membership",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="tenancy.membership",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.project"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RunFiring",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("due_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("started", "Started"),
                            ("skipped", "Skipped"),
                            ("missed", "Missed"),
                            ("failed", "Failed"),
                        ],
                        default="waiting",
                        max_length=8,
                    ),
                ),
                ("tries", models.PositiveIntegerField(default=0)),
                ("run_id", models.CharField(blank=True, max_length=31)),
                (
                    "code",
                    models.CharField(
                        blank=True, help_text="Of the error it ended with, or waits because of.", max_length=40
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization"),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="firings",
                        to="schedules.runschedule",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="runschedule",
            index=models.Index(
                condition=models.Q(("status", "active")), fields=["next_due_at"], name="schedules_run_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="runschedule",
            constraint=models.UniqueConstraint(fields=("organization", "id"), name="schedules_run_tenant"),
        ),
        migrations.AddConstraint(
            model_name="runschedule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("cron", ""), ("starts_at__isnull", False)),
                    models.Q(("starts_at", None), models.Q(("cron", ""), _negated=True)),
                    _connector="OR",
                ),
                name="schedules_run_one_time",
            ),
        ),
        migrations.AddIndex(
            model_name="runfiring",
            index=models.Index(
                condition=models.Q(("state", "waiting")), fields=["due_at"], name="schedules_firing_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="runfiring",
            constraint=models.UniqueConstraint(fields=("organization", "id"), name="schedules_firing_tenant"),
        ),
        migrations.AddConstraint(
            model_name="runfiring",
            constraint=models.UniqueConstraint(fields=("schedule", "due_at"), name="schedules_firing_once"),
        ),
        row_security.EnableRowSecurity("schedules_runschedule"),
        row_security.EnableRowSecurity("schedules_runfiring"),
        row_security.TenantForeignKey("schedules_runschedule", "project_id", "tenancy_project"),
        row_security.TenantForeignKey("schedules_runschedule", "membership_id", "tenancy_membership"),
        row_security.TenantForeignKey("schedules_runfiring", "schedule_id", "schedules_runschedule"),
    ]
