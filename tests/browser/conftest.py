"""A whole Ropeway and a browser, once for all the tests here; for each test a page in which its owner is signed in."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import browsers
from tests.journeys.world import World, world_open


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_open(tmp_path_factory.mktemp("world")) as opened:
        yield opened


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with browsers.browser_open() as opened:
        yield opened


@pytest.fixture
def faults() -> list[str]:
    """What the browser complained of: scripts that failed, and what our own policy refused."""
    return []


@pytest.fixture
def page(world: World, browser: Browser, faults: list[str]) -> Iterator[Page]:
    """The owner's page; at the end nothing may have been complained of."""
    with browsers.person(browser) as context:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        browsers.sign_in(page, world)
        yield page
        assert faults == []
