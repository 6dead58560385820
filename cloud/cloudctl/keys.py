"""`cloudctl keys`: which keys this installation has, a fresh one in front, and what is stored sealed with it.

How a rotation goes, step by step: docs/admins.md. Tests: tests/integration/cloud/cloudctl/test_keys.py.
"""

import click
from django.conf import settings

from cloud.cloudctl import doors, printing
from cloud.secrets import fields, rings, sealing
from cloud.tenancy import scope


@click.group()
def keys() -> None:
    """Rotate the installation's keys."""
    doors.in_place_required()


@keys.command("list")
@printing.output_option
def list_() -> None:
    """The ids of each ring's keys, the newest first. An id tells nothing of its key."""
    kept_in = settings.KEYS_KEPT_IN
    known = {
        word: [sealing.key_id(key) for key in rings.key_ring(name, kept_in=kept_in)]
        for word, name in rings.NAMES.items()
    }
    printing.rows_print([{"ring": word, "keys": ids} for word, ids in known.items()])


@keys.command()
@click.argument("ring", type=click.Choice(sorted(rings.NAMES)))
@printing.output_option
def rotate(*, ring: str) -> None:
    """Put a fresh key in front of a ring: in its file, or as a value to set. Restart every process with it."""
    name = rings.NAMES[ring]
    value = rings.key_ring_rotated(name, kept_in=settings.KEYS_KEPT_IN)
    printing.facts_print({"variable": name, "set_it_to": value, "is_kept": value is None})


@keys.command()
@printing.output_option
def reseal() -> None:
    """Seal everything that is stored sealed with the newest key; then former ones can be taken out."""
    resealed = 0
    with scope.operator():
        for model, field_name in fields.sealed_fields():
            resealed += fields.fields_reseal(model, field_name)
    printing.facts_print({"resealed": resealed})
