"""Telling things."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from cloud.audit import services
from cloud.audit.event_types import EventType
from tests.integration.cloud.tenants import Tenant

Tell = Callable[..., UUID]


@pytest.fixture
def tell(acme: Tenant) -> Tell:
    """Records one event of Acme; to be called in its scope."""

    def record(**facts: Any) -> UUID:
        facts = {"event_type": EventType.CALL_ACCEPTED, "target_kind": "call", "target_id": "one", **facts}
        return services.event_record(principal=acme.principal(), **facts)

    return record
