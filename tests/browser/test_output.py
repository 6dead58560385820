"""What a step says arrives on open pages by itself; and a secret is copied also where a browser has no clipboard."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.journeys.world import World

pytestmark = pytest.mark.browser


def admin(world: World, path: str) -> str:
    return f"{world.stack.url}/admin/{path}"


@pytest.mark.parametrize("where", ["run", "step"])
def test_output_comes_to_a_page_that_is_open_while_the_step_works(page: Page, world: World, where: str) -> None:
    run_id = world.run()
    step_id = world.submit(run_id, executor="fake-success", params={"sleep_s": 6}, title="the talker")
    world.until(step_id, "running")
    page.goto(admin(world, f"runs/{where}snapshot/?q={run_id if where == 'run' else step_id}"))
    page.locator("#result_list tbody a").first.click()
    expect(page.locator(f"[data-live={where}]")).to_have_attribute("data-live-state", "following")
    expect(page.locator("[data-tail]")).to_have_count(1)
    page.evaluate("window.isStillTheSamePage = true")
    said = page.locator(f"[data-tail-box={step_id}] [data-tail-text]")
    expect(said).to_contain_text("done as asked", timeout=40_000)
    expect(page.locator(f"[data-tail-box={step_id}]")).to_have_attribute("data-tail-state", "complete")
    assert page.evaluate("window.isStillTheSamePage") is True
    world.settle(step_id)


def test_a_page_that_is_open_on_a_silent_step_asks_seldom(page: Page, world: World) -> None:
    """Each question is a call of the organization's, and two entries of its audit."""
    run_id = world.run()
    step_id = world.submit(run_id, executor="fake-success", params={"sleep_s": 20}, title="the silent one")
    world.until(step_id, "running")
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        nothing = {"attempt_id": "att_" + "0" * 26, "offset": 0, "next_offset": 0, "size_bytes": 0, "text": ""}
        route.fulfill(json={**nothing, "is_complete": False})

    page.route("**/tail/**", answer)
    page.clock.install()
    page.goto(admin(world, f"runs/stepsnapshot/?q={step_id}"))
    page.locator("#result_list tbody a").first.click()
    expect(page.locator("[data-tail-note]")).to_contain_text("still growing")
    for _ in range(60):
        page.clock.run_for(1_000)
    assert 2 <= len(asked) <= 4
    world.settle(step_id)


def test_a_secret_is_copied_without_a_clipboard(page: Page, world: World) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(admin(world, "connectors/enrollmentcode/create"))
    page.get_by_role("button", name="Make the code").click()
    command = page.locator("#secret").inner_text()
    assert command.startswith(f"ropeway-connector enroll --cloud {world.stack.url} --code ")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("window.getSelection().toString()").strip() == command
