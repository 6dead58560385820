"""An organization's admin at work in a real browser, on a real cloud with a real machine."""

import re
import sys

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import browsers
from tests.journeys.world import World, command

pytestmark = pytest.mark.browser

REGISTER = "from tests.journeys import admin_acts; print(admin_acts.register())"


def admin(world: World, path: str) -> str:
    return f"{world.stack.url}/admin/{path}"


def gated(world: World, run_id: str, **task: object) -> str:
    """A step whose changes wait for approval."""
    files = {"files": {"greeting.txt": "hello\n<script>alert(1)</script>\n"}}
    return world.submit(run_id, executor="fake-success", params=files, gates={"after": "always"}, **task)


def open_run(page: Page, world: World, run_id: str) -> None:
    """Find the run by its id in the list, and follow it."""
    page.goto(admin(world, f"runs/runsnapshot/?q={run_id}"))
    page.locator("#result_list tbody a").first.click()
    expect(page.locator("[data-live=run]")).to_have_attribute("data-live-state", "following")


CONTRAST = """one => {
    const light = (colour) => {
        const canvas = document.createElement("canvas").getContext("2d");
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) => {
            const value = part / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    const main = getComputedStyle(document.getElementById("main")).backgroundColor;
    const [a, b] = [light(getComputedStyle(one).color), light(main)];
    return Math.max(a, b) / Math.min(a, b);
}"""


def contrast(one: Locator) -> float:
    """As WCAG has it, against the page's ground."""
    return float(one.evaluate(CONTRAST))


def test_the_dashboard_shows_the_machine_that_is_online(page: Page, world: World) -> None:
    figure = page.locator(".console-figure", has_text="Machines online")
    expect(figure).to_contain_text("1 of 1")
    expect(page.get_by_role("img", name=re.compile("Events an hour"))).to_be_visible()


def test_a_run_is_seen_to_go_without_a_reload(page: Page, world: World) -> None:
    run_id = world.run()
    world.settle(world.submit(run_id, executor="fake-success"))
    open_run(page, world, run_id)
    page.evaluate("window.isStillTheSamePage = true")
    second = world.submit(run_id, executor="fake-success", title="the second step")
    expect(page.locator("#run-parts")).to_contain_text("the second step")
    world.settle(second)
    expect(page.locator("#run-parts tr", has_text="the second step")).to_contain_text("completed")
    assert page.evaluate("window.isStillTheSamePage") is True


def test_a_gate_is_decided_on_exactly_what_was_shown(page: Page, world: World) -> None:
    run_id = world.run()
    step_id = gated(world, run_id)
    assert world.settle(step_id)["state"] == "waiting"
    open_run(page, world, run_id)
    page.get_by_role("link", name="Waits for a decision").click()
    expect(page.locator("tr.console-added").first).to_contain_text("hello")
    expect(page.locator("tr.console-added", has_text="<script>alert(1)</script>")).to_be_visible()
    digest = page.locator(".console-digest").inner_text()
    page.fill("textarea[name=comment]", "Looks right.")
    page.get_by_role("button", name="Approve exactly this").click()
    expect(page.get_by_text("The gate is decided")).to_be_visible()
    decided = world.settle(step_id)
    assert decided["state"] == "completed"
    gate = world.call("GET", f"/gates/{decided['gate_id']}") if decided["gate_id"] else None
    assert gate is None or (gate["digest"], gate["comment"]) == (digest, "Looks right.")


def test_of_two_admins_the_slower_one_sees_who_was_quicker(page: Page, world: World, browser: Browser) -> None:
    step_id = gated(world, world.run())
    assert world.settle(step_id)["state"] == "waiting"
    page.goto(admin(world, "runs/gatesnapshot/?state__exact=open"))
    page.locator("#result_list tbody a").first.click()
    page.get_by_role("link", name="Decide").first.click()
    expect(page.get_by_role("button", name="Reject")).to_be_visible()
    with browsers.person(browser) as context:
        other = context.new_page()
        browsers.sign_in(other, world)
        other.goto(page.url)
        other.get_by_role("button", name="Reject").click()
        expect(other.get_by_text("The gate is decided")).to_be_visible()
    page.get_by_role("button", name="Approve exactly this").click()
    expect(page.get_by_text("Yours came too late")).to_contain_text(world.tenant.email)
    expect(page.get_by_text("It is decided")).to_contain_text("rejected")


def test_a_steps_page_shows_its_changes_checks_output_and_files(page: Page, world: World) -> None:
    step_id = world.submit(
        world.run(),
        executor="fake-success",
        params={"files": {"made.txt": "made here\n"}},
        validations=[{"name": "is-there", "command": "test -f made.txt"}],
    )
    assert world.settle(step_id)["state"] == "completed"
    page.goto(admin(world, f"runs/stepsnapshot/?q={step_id}"))
    page.locator("#result_list tbody a").first.click()
    expect(page.locator("tr.console-added")).to_contain_text("made here")
    expect(page.locator("tr", has_text="is-there").first).to_contain_text("passed")
    with page.expect_download() as downloading:
        page.get_by_role("link", name=re.compile("patch|diff")).first.click()
    assert "made here" in downloading.value.path().read_text()


def test_a_token_is_minted_told_once_and_works(page: Page, world: World) -> None:
    page.goto(admin(world, "access/token/"))
    page.get_by_role("link", name="Mint a token").click()
    page.fill("input[name=name]", "my planner")
    page.get_by_role("button", name="Mint the token").click()
    secret = page.locator("#secret").inner_text()
    answer = httpx.get(f"{world.stack.url}/api/v2/projects", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
    page.get_by_role("link", name="Go on").click()
    expect(page.locator("#content")).to_contain_text("my planner")
    assert secret not in page.content()
    page.get_by_role("link", name="Revoke").first.click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("my planner is revoked.")).to_be_visible()
    answer = httpx.get(f"{world.stack.url}/api/v2/projects", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 401


def test_a_machine_is_claimed_by_its_code_after_one_read_what_that_exposes(page: Page, world: World) -> None:
    done = command(world, [sys.executable, "-c", REGISTER])
    code = done.stdout.strip()
    assert code, done.stderr
    page.goto(admin(world, "connectors/connector/"))
    page.get_by_role("link", name="Claim a machine").click()
    page.fill("input[name=claim_code]", code.lower().replace("-", " "))
    page.keyboard.press("Enter")
    expect(page.get_by_text("there is no shell")).to_be_visible()
    page.get_by_role("button", name="Claim this machine").click()
    expect(page.get_by_text("waiting now serves demo.")).to_be_visible()
    page.get_by_role("link", name="Unclaim").first.click()
    page.get_by_role("button", name="Unclaim it").click()
    expect(page.get_by_text("left the organization")).to_be_visible()


def test_somebody_joins_by_an_invitations_link(page: Page, world: World, browser: Browser) -> None:
    page.goto(admin(world, "tenancy/membership/"))
    page.get_by_role("link", name="Invite").first.click()
    page.fill("input[name=email]", "new@acme.example")
    page.select_option("select[name=role]", "project_viewer")
    page.get_by_role("button", name="Make the link").click()
    link = page.locator("#secret").inner_text()
    with browsers.person(browser) as context:
        other = context.new_page()
        other.goto(link)
        other.fill("input[name=full_name]", "Newcomer")
        other.fill("input[name=password]", "a long enough phrase")
        other.get_by_role("button", name="Accept").click()
        expect(other.get_by_text("Welcome. You are a member now.")).to_be_visible()
        expect(other.locator(".console-figure", has_text="Machines online")).to_be_visible()
        other.goto(admin(world, "access/token/"))
        expect(other.get_by_text("403")).to_be_visible()


def test_everything_works_in_the_dark_and_by_keyboard(page: Page, world: World) -> None:
    page.emulate_media(color_scheme="dark")
    page.reload()
    expect(page.locator("html")).to_have_class(re.compile("dark"))
    for part in ("strong", "span"):
        assert contrast(page.locator(f".console-figure {part}").first) > 4.5
    figure = page.locator("a.console-figure").first
    figure.focus()
    assert figure.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("connectors/connector"))
