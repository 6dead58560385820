"""What people call things in the admin: headings, breadcrumbs, the sidebar and columns read as the docs speak.

Models are named for the code (`RunSnapshot`, for it never is the run itself); here each has the user's word. Applied
once, when the console is ready: Django's and the theme's templates ask the models. Deliberately no `verbose_name` on
the models, which serve programs too and would each need a migration to say it. Tests:
tests/integration/cloud/console/test_words.py.
"""

from types import MappingProxyType

from django.apps import apps
from django.db import models

ROOMS = MappingProxyType(
    {
        "runs": "Work",
        "schedules": "Schedules",
        "dispatch": "Calls",
        "connectors": "Machines",
        "tenancy": "Organization",
        "accounts": "People",
        "access": "Access",
        "audit": "Record",
        "limits": "Limits and use",
        "polling": "Polling",
        "django_q": "Worker’s queue",
    }
)
"""What an application's pages have in common."""

MODELS = MappingProxyType(
    {
        "runs.RunSnapshot": ("run", "runs"),
        "runs.StepSnapshot": ("step", "steps"),
        "runs.GateSnapshot": ("gate", "gates"),
        "runs.RunEvent": ("event", "events"),
        "runs.EventCursor": ("log", "logs taken in"),
        "schedules.RunSchedule": ("schedule", "schedules"),
        "schedules.RunFiring": ("scheduled start", "scheduled starts"),
        "schedules.ScheduledTask": ("worker’s task", "worker’s tasks"),
        "dispatch.OperationCall": ("call", "calls"),
        "connectors.Connector": ("machine", "machines"),
        "connectors.Location": ("repository", "repositories"),
        "connectors.Instance": ("daemon", "daemons"),
        "connectors.EnrollmentCode": ("enrollment code", "enrollment codes"),
        "connectors.Claim": ("claim", "claims"),
        "connectors.PendingConnector": ("waiting machine", "waiting machines"),
        "connectors.Presence": ("coming or going", "comings and goings"),
        "tenancy.Organization": ("organization", "organizations"),
        "tenancy.Workspace": ("workspace", "workspaces"),
        "tenancy.Project": ("project", "projects"),
        "tenancy.Membership": ("member", "members"),
        "tenancy.Invitation": ("invitation", "invitations"),
        "accounts.User": ("person", "people"),
        "access.Token": ("token", "tokens"),
        "audit.AuditEvent": ("audit event", "audit events"),
        "audit.AuditSeal": ("link of the chain", "links of the chain"),
        "audit.AuditCheckpoint": ("checkpoint", "checkpoints"),
        "audit.AuditPruning": ("removal by retention", "removals by retention"),
        "audit.AuditRollup": ("count", "counts"),
        "audit.AuditRollupCursor": ("time of counting", "times of counting"),
        "limits.Limit": ("limit", "limits"),
        "limits.Usage": ("day’s use", "usage"),
        "polling.PollState": ("polled source", "polled sources"),
    }
)
"""One, and several of them."""

FIELDS = MappingProxyType(
    {
        "audit.AuditEvent": {
            "event_type": "what",
            "actor_label": "who",
            "actor_kind": "kind of caller",
            "actor_id": "caller’s id",
            "target_kind": "of what kind",
            "target_id": "of which",
            "call_id": "call",
            "duration_ms": "ms",
            "client_address": "from",
        },
        "audit.AuditRollup": {"bucket_start": "from", "event_type": "what"},
        "dispatch.OperationCall": {"principal_label": "who"},
        "runs.EventCursor": {"log_id": "log", "seq": "up to", "moved_at": "last heard of", "epoch": "link"},
        "runs.RunEvent": {"event_type": "what", "seq": "number"},
        "connectors.Connector": {"link_epoch": "number of the link", "link_owner": "link held by"},
        "connectors.Location": {"is_shared": "shared", "last_advertised_at": "last heard of"},
        "connectors.Instance": {"last_advertised_at": "last heard of"},
        "connectors.Presence": {"is_online": "online", "epoch": "link"},
        "limits.Limit": {"artifact_bytes_per_day": "artifact bytes a day", "calls_per_minute": "calls a minute"},
        "limits.Usage": {"token_id": "token"},
        "schedules.RunFiring": {"due_at": "due", "code": "because of"},
        "schedules.RunSchedule": {"next_due_at": "next", "when_away": "machine away", "made_by": "in the name of"},
        "tenancy.Membership": {"user": "person", "project_ids": "projects"},
    }
)
"""Columns whose name in the code says too little, or too much."""


def install() -> None:
    """Have the models answer with them."""
    for label, title in ROOMS.items():
        apps.get_app_config(label).verbose_name = title
    for label, (one, several) in MODELS.items():
        options = apps.get_model(label)._meta
        options.verbose_name, options.verbose_name_plural = one, several
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            related = field.related_model._meta.label if isinstance(field, models.ForeignKey) else ""
            if related in MODELS and field.name == related.partition(".")[2].lower():
                field.verbose_name = MODELS[related][0]
    for label, names in FIELDS.items():
        for name, word in names.items():
            apps.get_model(label)._meta.get_field(name).verbose_name = word
