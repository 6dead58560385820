"""Machines that were not brought up to date together with their cloud."""

import pytest

from local_daemon.protocol import envelopes
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site


@pytest.mark.parametrize("takes_after_hash", [True, False])
async def test_a_connector_is_told_a_hash_only_if_it_knows_what_that_is(
    cloud: Cloud, site: Site, takes_after_hash: bool
) -> None:
    shares = site.shares.model_copy(update={"takes_after_hash": takes_after_hash})
    async with scripted.connected(cloud.port, str(site.connector.id), site.machine, shares=shares) as connector:
        (told,) = await connector.until(lambda frame: isinstance(frame, envelopes.Follow))
    assert isinstance(told, envelopes.Follow)
    assert (told.after_hash is not None) == takes_after_hash
