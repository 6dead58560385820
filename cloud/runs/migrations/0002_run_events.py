from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="runevent",
            index=models.Index(
                condition=models.Q(("run_id", ""), _negated=True),
                fields=["location", "run_id", "id"],
                name="runs_event_run",
            ),
        ),
    ]
