"""Who was removed, deactivated or signed out opens no page's socket any more with the session they have."""

from collections.abc import Callable

import pytest
import websockets

from cloud.permissions.roles import Role
from cloud.runs.models import RunSnapshot
from cloud.tenancy.models import Membership
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_live import (
    cookie_of,
    deactivated,
    given_another_password,
    opened,
    place,
    removed,
    run,
    signed_out,
    suspended,
)

__all__ = ["place", "run"]


@pytest.mark.parametrize("query", ["", "run={run}"])
@pytest.mark.parametrize("end", [removed, suspended, deactivated, given_another_password, signed_out])
async def test_an_old_session_opens_nothing(
    cloud: Cloud,
    site: Site,
    run: RunSnapshot,
    make_member: MakeMember,
    end: Callable[[Membership], None],
    query: str,
) -> None:
    member = await scripted.in_thread(lambda: make_member(site.tenant, Role.ORG_OWNER))
    cookie = await scripted.in_thread(lambda: cookie_of(member))
    asked = query.format(run=run.pk)
    async with opened(cloud, cookie, asked):
        pass
    await scripted.in_thread(lambda: end(member))
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with opened(cloud, cookie, asked):
            pass
    assert refused.value.response.status_code == 403
