"""A token's line: itself, the token that minted it, and so on up to the one that a person minted.

What a token uses counts against each of its line, so minting more of them is no way to use more. A token that took
another's place is counted as that one. In the database a line is `access_token_line`. Callers open the organization's
scope. Tests: tests/integration/cloud/access/test_lines.py.
"""

from uuid import UUID

from django.db import connection

_LINE = "SELECT subject, count(*) OVER () FROM access_token_line(%s) ORDER BY depth"
_BELOW = """
    WITH RECURSIVE below AS (
        SELECT t.id FROM access_token t WHERE t.id = %(subject)s OR t.counted_as = %(subject)s
         UNION
        SELECT t.id FROM below JOIN access_token t ON t.maker_id = below.id
    )
    SELECT id FROM below
"""


def line_of(token_id: UUID) -> tuple[UUID, ...]:
    """What its use is counted under: itself first, whoever minted first last."""
    with connection.cursor() as cursor:
        cursor.execute(_LINE, [token_id])
        return tuple(dict.fromkeys(subject for subject, _ in cursor.fetchall()))


def line_length(token_id: UUID) -> int:
    """How many tokens are in its line, itself included."""
    with connection.cursor() as cursor:
        cursor.execute(_LINE, [token_id])
        found: int = cursor.fetchone()[1]
    return found


def below(subject: UUID) -> list[UUID]:
    """Every token whose use is counted under this id: the token and those that took its place, what they minted, and
    so on."""
    with connection.cursor() as cursor:
        cursor.execute(_BELOW, {"subject": subject})
        return [row[0] for row in cursor.fetchall()]
