"""Asking the cloud itself, as its surfaces do."""

from typing import Any

from cloud.access.principals import Principal, PrincipalKind
from cloud.operations import table
from tests.integration.cloud.tenants import Tenant


def answered(principal: Principal, operation: str, /, **arguments: Any) -> dict[str, Any]:
    """What a principal is told."""
    answer = table.perform(operation, principal=principal, arguments=arguments)
    assert isinstance(answer, table.TABLE[operation].operation.response)
    return answer.model_dump(mode="json")


def perform(tenant: Tenant, operation: str, /, **arguments: Any) -> dict[str, Any]:
    """What the tenant's owner is told."""
    return answered(tenant.principal(kind=PrincipalKind.USER), operation, **arguments)
