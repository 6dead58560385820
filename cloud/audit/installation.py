"""The installation's own chain: what no organization could be told, such as what its operators do.

A chain like any other, under an id that no organization has; `cloudctl audit verify` walks it along with the rest, and
`--organization` takes this id. Its rows show to the operator's scope and to its own.
"""

from uuid import UUID

INSTALLATION = UUID("00000000-0000-7000-8000-000000000000")
NAME = "(installation)"
"""What it is called where organizations are called by their slugs."""
