from django.db import migrations, models

from cloud.tenancy import row_security


class Migration(migrations.Migration):
    dependencies = [
        ("schedules", "0001_audit_pruning_fence"),
    ]

    operations = [
        migrations.CreateModel(
            name="ScheduledTask",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                (
                    "outcome",
                    models.CharField(
                        choices=[("running", "Running"), ("ok", "Ok"), ("failed", "Failed")], max_length=16
                    ),
                ),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("duration_ms", models.FloatField(blank=True, null=True)),
                ("told", models.CharField(blank=True, max_length=200)),
                ("runs", models.PositiveBigIntegerField(default=0)),
                ("failures_in_a_row", models.PositiveIntegerField(default=0)),
                ("killed", models.PositiveIntegerField(default=0)),
            ],
        ),
        row_security.OperatorOnly("schedules_scheduledtask"),
    ]
