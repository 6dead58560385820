import django.db.models.deletion
from django.db import migrations, models

import local_daemon.protocol.ids

# Deleting stays refused to everybody, except what a recorded statement covers; and the application, which has no right
# to delete, asks for it through a function that holds the line of age. Both see the tenant in scope only.
PRUNE = """
CREATE FUNCTION audit_refuse_unless_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF TG_TABLE_NAME = 'audit_auditseal' THEN
            IF EXISTS (SELECT FROM audit_auditpruning p WHERE p.organization_id = OLD.organization_id
                        AND OLD.seq BETWEEN p.first_seq AND p.seq) THEN
                RETURN OLD;
            END IF;
        ELSIF EXISTS (SELECT FROM audit_auditseal s JOIN audit_auditpruning p ON p.organization_id = s.organization_id
                       WHERE s.event_id = OLD.id AND s.seq BETWEEN p.first_seq AND p.seq) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
DROP TRIGGER append_only ON audit_auditevent;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_auditevent
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_unless_pruned();
DROP TRIGGER append_only ON audit_auditseal;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_auditseal
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_unless_pruned();
CREATE FUNCTION audit_prune(upto bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public AS $$
DECLARE
    org uuid := NULLIF(current_setting('app.organization_id', true), '')::uuid;
    removed bigint;
BEGIN
    IF EXISTS (SELECT FROM audit_auditevent e JOIN audit_auditseal s ON s.event_id = e.id
                WHERE s.organization_id = org AND s.seq <= upto AND e.at > now() - interval '30 days') THEN
        RAISE EXCEPTION 'the audit is kept for 30 days' USING ERRCODE = 'restrict_violation';
    END IF;
    DELETE FROM audit_auditevent e USING audit_auditseal s
     WHERE s.organization_id = org AND s.seq <= upto AND e.id = s.event_id;
    DELETE FROM audit_auditseal WHERE organization_id = org AND seq <= upto;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$;
"""
UNPRUNE = """
DROP FUNCTION audit_prune(bigint);
DROP TRIGGER append_only ON audit_auditevent;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_auditevent FOR EACH ROW EXECUTE FUNCTION refuse_change();
DROP TRIGGER append_only ON audit_auditseal;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_auditseal FOR EACH ROW EXECUTE FUNCTION refuse_change();
DROP FUNCTION audit_refuse_unless_pruned();
"""

# PostgreSQL commits what notifies one after the other, each with its own wait for the disk. A process that seals hears
# of its own commits without.
NOTIFY_UNLESS_HEARD = """
CREATE OR REPLACE FUNCTION audit_event_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('app.audit_is_heard', true) IS DISTINCT FROM '1' THEN
        PERFORM pg_notify('ropeway_audit', NEW.organization_id::text);
    END IF;
    RETURN NULL;
END $$;
"""
NOTIFY_ALWAYS = """
CREATE OR REPLACE FUNCTION audit_event_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('ropeway_audit', NEW.organization_id::text);
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_initial"),
        ("tenancy", "0002_audit_fence"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditPruning",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=local_daemon.protocol.ids.new_uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("first_seq", models.PositiveBigIntegerField()),
                ("seq", models.PositiveBigIntegerField()),
                ("prev_hash", models.BinaryField(max_length=32)),
                ("hash", models.BinaryField(max_length=32)),
                ("newest_at", models.DateTimeField()),
                ("public_key", models.BinaryField(max_length=32)),
                ("signature", models.BinaryField(max_length=64)),
                ("signed_at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name="auditevent",
            name="audit_event_recent",
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["organization", "-id"], name="audit_event_page"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["organization", "event_type", "-id"], name="audit_event_type"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["organization", "actor_id", "-id"], name="audit_event_actor"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["organization", "target_id", "-id"], name="audit_event_target"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["organization", "project_id", "-id"], name="audit_event_project"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                condition=models.Q(("outcome", "ok"), _negated=True),
                fields=["organization", "-id"],
                name="audit_event_not_ok",
            ),
        ),
        migrations.AddField(
            model_name="auditpruning",
            name="organization",
            field=models.ForeignKey(
                db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to="tenancy.organization"
            ),
        ),
        migrations.AddConstraint(
            model_name="auditpruning",
            constraint=models.UniqueConstraint(fields=("organization", "seq"), name="audit_pruning_seq"),
        ),
        migrations.RunSQL(PRUNE, UNPRUNE),
        migrations.RunSQL(NOTIFY_UNLESS_HEARD, NOTIFY_ALWAYS),
    ]
