"""What one cloud operation is: a row of the table, and the function that answers it.

Each noun of this room lists its own; `table` puts them together and says who may. Tests:
tests/integration/cloud/operations/.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from cloud.access.principals import Grant
from local_daemon.protocol.operation import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOperation:
    """An operation and the function that answers it, in the tenant's open scope. `is_repeatable`: doing the same again
    changes nothing more."""

    operation: Operation
    answer: Callable[[Grant, Any], BaseModel]
    is_repeatable: bool = False
