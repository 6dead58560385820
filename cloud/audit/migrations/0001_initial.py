import django.db.models.deletion
from django.db import migrations, models

import local_daemon.protocol.ids

# In a trigger, not in the service: the notification costs no round trip of its own and cannot be forgotten.
NOTIFY = """
CREATE FUNCTION audit_event_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('ropeway_audit', NEW.organization_id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_event_notify AFTER INSERT ON audit_auditevent FOR EACH ROW EXECUTE FUNCTION audit_event_notify();
"""
UNNOTIFY = "DROP TRIGGER audit_event_notify ON audit_auditevent; DROP FUNCTION audit_event_notify()"


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditRollupCursor",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="tenancy.organization",
                    ),
                ),
                ("seq", models.PositiveBigIntegerField(default=0)),
                ("aggregated_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("seq", models.PositiveBigIntegerField()),
                ("hash", models.BinaryField(max_length=32)),
                ("public_key", models.BinaryField(max_length=32)),
                ("signature", models.BinaryField(max_length=64)),
                ("signed_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to="tenancy.organization"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("organization", "seq"), name="audit_checkpoint_seq")],
            },
        ),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "transaction_id",
                    models.BigIntegerField(
                        db_default=models.Func(
                            output_field=models.BigIntegerField(), template="(pg_current_xact_id()::text::bigint)"
                        ),
                        editable=False,
                    ),
                ),
                ("event_type", models.CharField(max_length=64)),
                (
                    "actor_kind",
                    models.CharField(
                        choices=[
                            ("token", "Token"),
                            ("user", "User"),
                            ("connector", "Connector"),
                            ("system", "System"),
                        ],
                        max_length=16,
                    ),
                ),
                ("actor_id", models.CharField(blank=True, max_length=64)),
                ("actor_label", models.CharField(blank=True, max_length=200)),
                ("target_kind", models.CharField(max_length=32)),
                ("target_id", models.CharField(max_length=64)),
                ("project_id", models.UUIDField(blank=True, null=True)),
                ("call_id", models.CharField(blank=True, max_length=31)),
                (
                    "outcome",
                    models.CharField(
                        choices=[("ok", "Ok"), ("error", "Error"), ("unknown", "Unknown")], default="ok", max_length=16
                    ),
                ),
                ("duration_ms", models.FloatField(blank=True, null=True)),
                ("client_address", models.GenericIPAddressField(blank=True, null=True)),
                ("details", models.JSONField(default=dict)),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to="tenancy.organization"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organization", "transaction_id", "id"], name="audit_event_seal_order"),
                    models.Index(fields=["organization", "-at"], name="audit_event_recent"),
                    models.Index(
                        condition=models.Q(("call_id", ""), _negated=True), fields=["call_id"], name="audit_event_call"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditRollup",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("period", models.CharField(choices=[("hour", "Hour"), ("day", "Day")], max_length=8)),
                ("bucket_start", models.DateTimeField()),
                ("event_type", models.CharField(max_length=64)),
                (
                    "outcome",
                    models.CharField(choices=[("ok", "Ok"), ("error", "Error"), ("unknown", "Unknown")], max_length=16),
                ),
                ("count", models.PositiveBigIntegerField()),
                ("aggregated_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="tenancy.organization"),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "period", "bucket_start", "event_type", "outcome"),
                        name="audit_rollup_bucket",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditSeal",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("seq", models.PositiveBigIntegerField()),
                ("event_id", models.UUIDField(unique=True)),
                ("event_hash", models.BinaryField(max_length=32)),
                ("prev_hash", models.BinaryField(max_length=32)),
                ("hash", models.BinaryField(max_length=32)),
                ("horizon", models.BigIntegerField()),
                ("sealed_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to="tenancy.organization"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("organization", "seq"), name="audit_seal_seq")],
            },
        ),
        migrations.RunSQL(NOTIFY, UNNOTIFY),
    ]
