"""An organization's admin at work in a real browser, on a real cloud with a real machine."""

import re
import sys

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from cloud.permissions.roles import Role
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


def test_a_page_in_the_background_rests_until_it_is_looked_at(page: Page, world: World) -> None:
    run_id = world.run()
    world.settle(world.submit(run_id, executor="fake-success"))
    with page.expect_websocket() as opened:
        open_run(page, world, run_id)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    with opened.value.expect_event("framereceived"):
        behind = world.submit(run_id, executor="fake-success", title="behind its back")
    world.settle(behind)
    expect(page.locator("#run-parts")).not_to_contain_text("behind its back")
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#run-parts")).to_contain_text("behind its back")


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
        expect(other.locator("#sorry")).to_contain_text("Not for your role")


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


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until what has the focus is called so, as somebody without a mouse does."""
    page.wait_for_load_state()
    # A link's icon is a word before its name.
    said = r"one => (one.innerText || one.value || one.name || '').trim().split('\n').pop().trim()"
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate(f"({said})(document.activeElement)") == wanted:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            ring = page.evaluate("getComputedStyle(document.activeElement).boxShadow")
            assert (outline, ring) != ("none", "none"), f"nobody sees that {wanted!r} has the focus"
            return
    raise AssertionError(f"no Tab leads to {wanted!r}")


def test_the_pages_that_the_sidebar_has_no_room_for_are_reached_by_keyboard(page: Page, world: World) -> None:
    tab_to(page, "All pages")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Checkpoints").click()
    expect(page.locator("h1")).to_contain_text("Checkpoints")


def test_a_gate_is_found_and_decided_by_keyboard_alone(page: Page, world: World) -> None:
    step_id = gated(world, world.run(), title="without a mouse")
    assert world.settle(step_id)["state"] == "waiting"
    world.agree([step_id])
    page.goto(admin(world, "runs/gatesnapshot/?state__exact=open"))
    reason = page.locator("#result_list tbody a").first.inner_text().strip()
    tab_to(page, reason)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/change/"))
    tab_to(page, "Decide")
    page.keyboard.press("Enter")
    expect(page.locator("tr.console-added").first).to_be_visible()
    tab_to(page, "comment")
    page.keyboard.type("By hand, without a mouse.")
    tab_to(page, "Approve exactly this")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The gate is decided")).to_be_visible()
    assert world.settle(step_id)["state"] == "completed"


def test_a_run_is_scheduled_previewed_begun_at_once_and_followed(page: Page, world: World) -> None:
    page.goto(admin(world, "schedules/runschedule/"))
    page.get_by_role("link", name="Schedule a run").click()
    page.fill("input[name=name]", "nightly")
    page.fill("input[name=executor]", "fake-success")
    page.fill("textarea[name=goal]", "Bring the changelog up to date.")
    page.fill("input[name=cron]", "30 6 * * 1-5")
    page.select_option("select[name=time_zone]", "Europe/Berlin")
    page.get_by_role("button", name="Show its next times").click()
    expect(page.locator("#table tbody tr")).to_have_count(5)
    expect(page.locator("#table")).to_contain_text("06:30")
    page.get_by_role("button", name="Schedule it").click()
    expect(page.get_by_text("nightly begins by itself.")).to_be_visible()
    page.get_by_role("link", name="Run now").click()
    page.get_by_role("button", name="Run it now").click()
    expect(page.get_by_text("nightly begins within a minute.")).to_be_visible()
    shown = page.url
    # What the worker does each minute.
    world.stack.cloudctl("tasks", "run", "scheduled runs")
    page.goto(shown)
    expect(page.locator("tr", has_text="started").first).to_be_visible()
    run_id = page.locator("tr", has_text="started").first.locator("a, code").first.inner_text()
    assert world.call("GET", f"/runs/{run_id}")["run_id"] == run_id
    page.get_by_role("link", name="Pause").click()
    page.get_by_role("button", name="Pause it").click()
    expect(page.get_by_text("nightly is paused.")).to_be_visible()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("nightly is deleted.")).to_be_visible()


def test_a_limit_is_set_seen_and_held(page: Page, world: World) -> None:
    page.goto(admin(world, "access/token/"))
    page.get_by_role("link", name="Mint a token").click()
    page.fill("input[name=name]", "slow planner")
    page.get_by_role("button", name="Mint the token").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_role("link", name="Go on").click()
    page.locator("a[href$='/limits/']").first.click()
    page.fill("input[name=calls_burst]", "1")
    page.get_by_role("button", name="Set them").click()
    expect(page.get_by_text("Says nothing without calls_per_minute.")).to_be_visible()
    page.fill("input[name=calls_per_minute]", "1")
    page.get_by_role("button", name="Set them").click()
    expect(page.get_by_text("The limits of slow planner are set.")).to_be_visible()
    expect(page.locator("#table tr", has_text="Calls a minute")).to_contain_text("here")
    url = f"{world.stack.url}/api/v2/projects/{world.tenant.project_id}/runs"
    answers = [httpx.get(url, headers={"Authorization": f"Bearer {secret}"}) for _ in range(2)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) > 0


SEEN = {
    Role.ORG_OWNER: {"Runs", "Schedules", "Machines", "Members", "Tokens", "Audit", "Limits"},
    Role.ORG_ADMIN: {"Runs", "Schedules", "Machines", "Members", "Tokens", "Audit", "Limits"},
    Role.WORKSPACE_ADMIN: {"Runs", "Schedules", "Machines", "Members", "Tokens", "Audit", "Limits"},
    Role.PROJECT_OPERATOR: {"Runs", "Schedules", "Machines", "Tokens", "Audit", "Limits"},
    Role.PROJECT_VIEWER: {"Runs", "Schedules", "Machines", "Audit", "Limits"},
}


@pytest.mark.parametrize("role", list(Role))
def test_each_role_is_led_to_what_it_may_see_and_every_link_opens(world: World, browser: Browser, role: Role) -> None:
    email = browsers.member_make(world, role)
    with browsers.person(browser) as context:
        page = context.new_page()
        browsers.sign_in(page, world, email=email, password=browsers.PASSWORD)
        links = page.locator("#nav-sidebar a[href^='/admin/']")
        found = {link.inner_text().split("\n")[-1].strip(): link.get_attribute("href") for link in links.all()}
        named = {"Runs", "Schedules", "Machines", "Members", "Tokens", "Audit", "Limits"}
        assert named & found.keys() == SEEN[role]
        for href in {href for href in found.values() if href}:
            answer = page.goto(f"{world.stack.url}{href}")
            assert answer is not None
            assert answer.status == 200, href


def test_signing_out_elsewhere_ends_an_open_page(page: Page, world: World) -> None:
    expect(page.locator("#dashboard")).to_have_attribute("data-live-state", "following")
    other = page.context.new_page()
    other.goto(admin(world, ""))
    other.evaluate("""async () => {
        const token = document.querySelector('input[name=csrfmiddlewaretoken]')?.value
            ?? document.cookie.split('csrftoken=')[1]?.split(';')[0];
        await fetch('/admin/logout/', {method: 'POST', headers: {'X-CSRFToken': token}});
    }""")
    expect(page.locator("#dashboard")).to_have_attribute("data-live-state", "interrupted")


NARROW = (
    "", "runs/runsnapshot/", "runs/gatesnapshot/", "tenancy/membership/", "connectors/connector/claim",
    "schedules/runschedule/", "schedules/runschedule/make/", "access/token/mint/", "limits/limit/own/",
    "audit/auditevent/",
)  # fmt: skip


@pytest.mark.parametrize("path", NARROW)
def test_on_a_telephone_nothing_is_cut_off(page: Page, world: World, path: str) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(admin(world, path))
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0


@pytest.mark.parametrize("path", ["audit/auditevent/?period=any", "audit/auditseal/"])
def test_the_audits_lists_fit_a_laptop(page: Page, world: World, path: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(admin(world, path))
    table = page.locator("#result_list")
    expect(table.locator("tbody tr").first).to_be_visible()
    # A browser rounds widths to whole pixels.
    assert table.evaluate("table => table.scrollWidth - table.parentElement.clientWidth") <= 1
