"""A real browser on a real Ropeway: where Chromium is found, and how one signs in.

Used by the tests here and by `screenshots`, which makes the pictures of docs/admins.md.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from cloud.permissions.roles import Role
from tests.journeys.world import World, command

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

PASSWORD = "a long enough phrase"


class ChromiumMissing(RuntimeError):
    """No Chromium was found: install one (Debian: `apt-get install chromium`), or name it in ROPEWAY_CHROMIUM."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def chromium_path() -> str:
    """Where the browser is. Raises ChromiumMissing."""
    found = os.environ.get("ROPEWAY_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise ChromiumMissing
    return found


@contextmanager
def browser_open() -> Iterator[Browser]:
    """A browser without a window."""
    path = chromium_path()
    with sync_playwright() as playwright:
        # The sandbox needs rights that a container seldom has; the pages are our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


def person(browser: Browser, **settings: object) -> BrowserContext:
    """Somebody's browser, in which nobody is signed in yet."""
    return browser.new_context(viewport={"width": 1360, "height": 900}, **settings)  # type: ignore[arg-type]


def sign_in(page: Page, world: World, *, email: str = "", password: str = "") -> None:
    """Sign somebody in: the tenant's owner, unless it is said who."""
    page.goto(f"{world.stack.url}/admin/")
    page.fill("input[name=username]", email or world.tenant.email)
    page.fill("input[name=password]", password or world.tenant.password)
    page.keyboard.press("Enter")
    page.wait_for_selector("#dashboard")


def member_make(world: World, role: Role) -> str:
    """A person with that role in the tenant, bound as far as the role is; their address, with PASSWORD."""
    done = command(world, [sys.executable, "-m", "tests.browser.members", role.value, world.tenant.project_id])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]
