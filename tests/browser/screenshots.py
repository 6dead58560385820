"""Make the pictures of docs/admins.md: python -m tests.browser.screenshots docs/images

A Ropeway from nothing, a little work on it, and a browser that looks: so that the pictures show what is there today.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.browser import browsers
from tests.journeys.world import World, command, world_open

SIZE = {"width": 1280, "height": 860}
AT_WORK_S = 60
"""How long a step works, so that the pictures of its run show it at that."""


def work(world: World) -> str:
    """Some runs; the id of one that waits for a decision."""
    for objective in ("Bring the changelog up to date", "Rename the greeting"):
        run_id = str(world.call("POST", "/runs", {"objective": objective})["run"]["run_id"])
        world.settle(
            world.submit(
                run_id,
                executor="fake-success",
                title=objective,
                params={"files": {"CHANGELOG.md": "# Changes\n\n- The greeting is friendlier.\n"}},
                validations=[{"name": "is-there", "command": "test -f CHANGELOG.md"}],
            )
        )
        world.call("POST", f"/runs/{run_id}/close", {})
    failing = str(world.call("POST", "/runs", {"objective": "Lint the old module"})["run"]["run_id"])
    world.settle(world.submit(failing, executor="fake-failure", title="Lint the old module"))
    waiting = str(world.call("POST", "/runs", {"objective": "Greet in two languages"})["run"]["run_id"])
    world.settle(
        world.submit(
            waiting,
            executor="fake-success",
            title="Find every greeting",
            validations=[{"name": "is-clean", "command": "git diff --check"}],
        )
    )
    step_id = world.submit(
        waiting,
        executor="fake-success",
        title="Greet in two languages",
        params={"files": {"greeting.py": 'GREETINGS = {"en": "Hello", "cy": "Helo"}\n\nprint(GREETINGS["cy"])\n'}},
        gates={"after": "always"},
    )
    world.settle(step_id)
    at_work = world.submit(
        waiting, executor="fake-success", title="Tell of it in the handbook", params={"sleep_s": AT_WORK_S}
    )
    world.until(at_work, "running")
    world.agree([step_id, at_work])
    # What the worker does every hour.
    done = command(
        world,
        [
            sys.executable,
            "-c",
            "import django; django.setup(); from cloud.schedules import audit_rollups as a; a.run()",
        ],
    )
    assert done.returncode == 0, done.stderr
    return waiting


def pictures(page: Page, world: World, folder: Path) -> None:
    """Look at each page once."""
    run_id = work(world)
    admin = f"{world.stack.url}/admin/"

    def picture(name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", animations="disabled")

    page.goto(admin)
    picture("admin-dashboard")
    page.emulate_media(color_scheme="dark")
    page.reload()
    picture("admin-dashboard-dark")
    page.emulate_media(color_scheme="light")
    page.goto(f"{admin}runs/runsnapshot/?q={run_id}")
    page.locator("#result_list tbody a").first.click()
    page.wait_for_selector("[data-live-state=following]")
    picture("admin-run")
    page.get_by_role("link", name="Waits for a decision").click()
    page.wait_for_selector(".console-diff")
    picture("admin-gate")
    page.goto(f"{admin}access/token/mint")
    picture("admin-mint")
    page.goto(f"{admin}audit/auditevent/")
    picture("admin-audit")
    page.goto(f"{admin}schedules/runschedule/make/")
    page.fill("input[name=name]", "Every workday's upkeep")
    page.fill("input[name=executor]", "fake-success")
    page.fill("input[name=objective]", "Keep the dependencies up to date")
    page.fill("textarea[name=goal]", "Update the dependencies, run the tests, and say what changed.")
    page.fill("input[name=cron]", "30 6 * * 1-5")
    page.select_option("select[name=time_zone]", "Europe/Berlin")
    page.get_by_role("button", name="Show its next times").click()
    page.wait_for_selector("#table")
    picture("admin-schedule-make")
    page.get_by_role("button", name="Schedule it").click()
    page.get_by_role("link", name="Run now").click()
    page.get_by_role("button", name="Run it now").click()
    page.wait_for_selector("text=within a minute")
    shown = page.url
    # What the worker does every minute.
    world.stack.cloudctl("tasks", "run", "scheduled runs")
    page.goto(shown)
    picture("admin-schedule")
    page.goto(f"{admin}access/token/")
    page.locator("#result_list tbody a").first.click()
    page.locator("a[href$='/limits/']").first.click()
    page.fill("input[name=calls_per_minute]", "600")
    page.fill("input[name=cost_micros_per_month]", "25")
    page.fill("input[name=artifact_bytes_per_day]", "500")
    page.get_by_role("button", name="Set them").click()
    page.wait_for_selector("text=are set")
    page.reload()
    picture("admin-limits")


def main() -> None:
    """Make them all."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as root,
        world_open(Path(root)) as world,
        browsers.browser_open() as browser,
        browser.new_context(viewport=SIZE) as context,  # type: ignore[arg-type]
    ):
        page = context.new_page()
        browsers.sign_in(page, world)
        pictures(page, world, folder)


if __name__ == "__main__":
    main()
