"""A column that holds sealed texts, and sealing all of them anew.

A field of this kind is all that `cloudctl keys reseal` needs to find its secrets. Reading and writing stay explicit:
`sealing.opened(row.secret, place=fields.place_of(row, "secret"))`. Tests:
tests/integration/cloud/cloudctl/test_keys.py.
"""

from collections.abc import Iterator

from django.apps import apps
from django.db import models

from cloud.secrets import sealing


class SealedField(models.TextField):
    """Sealed text, or nothing."""


def place_of(row: models.Model, field_name: str) -> str:
    """What a secret of this row is bound to. The row needs its primary key."""
    return f"{row._meta.db_table}.{field_name}:{row.pk}"


def sealed_fields() -> Iterator[tuple[type[models.Model], str]]:
    """Every column that holds sealed texts."""
    for model in apps.get_models():
        for field in model._meta.fields:
            if isinstance(field, SealedField):
                yield model, field.name


def fields_reseal(model: type[models.Model], field_name: str) -> int:
    """Seal with the newest key what a former one sealed; how many that were. Callers open the operator's scope."""
    resealed = 0
    rows = model._default_manager.exclude(**{field_name: ""}).only("pk", field_name)
    for row in rows.iterator(chunk_size=500):
        text = getattr(row, field_name)
        if text and not sealing.is_current(text):
            place = place_of(row, field_name)
            anew = sealing.sealed(sealing.opened(text, place=place), place=place)
            # Compare-and-set: it may have been changed meanwhile, and then the newest key sealed it.
            resealed += model._default_manager.filter(pk=row.pk, **{field_name: text}).update(**{field_name: anew})
    return resealed
