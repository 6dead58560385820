"""`make demo`: everything starts, the main job runs in front of you, and the evidence is shown.

    python -m deploy.demo [--repository PATH] [--executor NAME] [--keep]    run it
    python -m deploy.demo --down                                            stop what --keep left running

With an executor (codex, claude, gemini, opencode, qwen) that CLI does the work, with the login of whoever runs this.

Exits 0 only if all of it was true. Where it keeps its state: `.var/demo`.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.demo import planner, story
from deploy.demo.progress import Progress
from deploy.stack.local import ROOT, LocalStack, Tenant, clone, stop_kept
from deploy.stack.processes import NotReady

HOME = ROOT / ".var" / "demo"
PROJECT = "demo"


def main() -> int:
    """Parse the command line, run, and say with the exit code whether everything held."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repository", type=Path, default=ROOT, help="a git repository; a clone of it is used")
    parser.add_argument("--executor", default=story.PATCH_EXECUTOR, help="who does the work (default: git, a patch)")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    parser.add_argument("--down", action="store_true", help="stop what --keep left running")
    arguments = parser.parse_args()
    stopped = stop_kept(HOME)
    if arguments.down:
        print("Stopped." if stopped else "Nothing is running.")
        return 0
    return run(arguments.repository.expanduser().resolve(), executor=arguments.executor, keep=arguments.keep)


def run(repository: Path, *, executor: str, keep: bool) -> int:
    """The demo from nothing to evidence."""
    progress = Progress()
    shutil.rmtree(HOME, ignore_errors=True)
    stack = LocalStack(HOME)
    try:
        tenant = set_up(stack, repository, progress, executor=executor)
        evidence = asyncio.run(plan(stack, tenant, progress, executor=executor))
        verify(stack, progress)
        show(stack, tenant, evidence, progress, kept=keep)
        if keep:
            stack.keep()
        return 0
    except (story.NotTrue, planner.ToolFailed, NotReady, subprocess.SubprocessError) as error:
        progress.console.print(f"\n[bold red]The demo failed:[/bold red] {error}\nLogs: {HOME / 'logs'}", markup=True)
        return 1
    finally:
        if not (HOME / "kept.json").exists():
            stack.stop()


def set_up(stack: LocalStack, repository: Path, progress: Progress, *, executor: str) -> Tenant:
    """Start every process, make a tenant, and share a clone of the repository with it."""
    progress.heading("Setting up, on this machine only")
    with progress.step("PostgreSQL, schema, two roles"):
        stack.prepare_database()
    with progress.step("organization, workspace, project, token"):
        tenant = stack.bootstrap(organization="acme", project=PROJECT, email="owner@acme.example")
    with progress.step("cloud (daphne)") as learned:
        stack.start_cloud()
        learned.append(stack.url)
    with progress.step("worker (django-q2)"):
        stack.start_worker()
    with progress.step("daemon"):
        stack.start_daemon()
        require_executor(stack, executor)
    with progress.step("add a git repository") as learned:
        clone(repository, HOME / "repository")
        added = stack.ropeway("repository", "add", str(HOME / "repository"))
        learned.append(f"{added['label']} at {added['head_commit'][:12]}")
    with progress.step("enroll and claim with a one-time code") as learned:
        code = stack.cloudctl("enroll-code", "create", "--project", tenant.project_id)
        stack.enroll(code["code"])
        learned.append("the key pair stays on the machine")
    with progress.step("share the repository, connect outbound"):
        stack.share(added["repository_id"])
        stack.start_connector()
        stack.connector.wait_until(lambda: is_online(stack, tenant), timeout_s=30)
    return tenant


def require_executor(stack: LocalStack, executor: str) -> None:
    """Whether the daemon can use it. Raises NotTrue with the daemon's reason."""
    found = [each for each in stack.ropeway("status")["executors"] if each["name"] == executor]
    story.expect(bool(found), f"there is an executor {executor}")
    story.expect(found[0]["is_available"], f"{executor} can be used here: {found[0]['reason']}")


def is_online(stack: LocalStack, tenant: Tenant) -> bool:
    """Whether the project has a place that is connected now."""
    projects = asyncio.run(list_projects(stack, tenant))
    return any(location["is_online"] for project in projects for location in project["locations"])


async def list_projects(stack: LocalStack, tenant: Tenant) -> list[dict[str, list[dict[str, bool]]]]:
    """The projects the tenant's token sees, over MCP."""
    async with planner.connect(f"{stack.url}/api/cloud/v1/mcp", tenant.token) as client:
        return list((await planner.Planner(client=client).call("projects_list"))["items"])


async def plan(stack: LocalStack, tenant: Tenant, progress: Progress, *, executor: str) -> story.Evidence:
    """Be the planner: only a URL and a token."""
    progress.heading("A planner works, over MCP")
    async with planner.connect(f"{stack.url}/api/cloud/v1/mcp", tenant.token) as client:
        anyone = planner.Planner(client=client)
        project_id = await story.find_project(anyone, PROJECT, progress)
        mine = planner.Planner(client=client, project_id=project_id)
        evidence = await story.tell(mine, progress, executor=executor)
        with progress.step("have the worker roll the audit up"):
            await asyncio.to_thread(stack.cloudctl, "audit", "aggregate")
        with progress.step("see the rollup") as learned:
            rollup = await story.audit_rollup(anyone)
            learned.append(f"{sum(row['count'] for row in rollup)} events in {len(rollup)} rows")
    return evidence


def verify(stack: LocalStack, progress: Progress) -> None:
    """Check both chains with the tools an operator has."""
    progress.heading("Trust, but verify")
    with progress.step("cloudctl audit verify") as learned:
        report = stack.cloudctl("audit", "verify")
        story.expect(report["ok"], "the cloud's audit chain is intact")
        learned.append(f"{report['sealed']} sealed, {report['unsealed']} unsealed")
    with progress.step("ropeway verify") as learned:
        report = stack.ropeway("verify")
        story.expect(report["ok"], "the daemon's event chains and evidence signatures are intact")
        learned.append(", ".join(f"{report[name]} {name}" for name in ("events", "artifacts", "signatures")))


def show(stack: LocalStack, tenant: Tenant, evidence: story.Evidence, progress: Progress, *, kept: bool) -> None:
    """Print what the planner holds in hands, and where a person looks."""
    progress.heading("The evidence")
    progress.patch(evidence.patch)
    progress.table(
        "Validations",
        ["check", "verdict", "exit code", "ms"],
        [[v["name"], v["verdict"], str(v["exit_code"]), str(v["duration_ms"])] for v in evidence.validations],
    )
    progress.table(
        "Artifacts",
        ["artifact", "bytes", "sha256"],
        [[a["name"], str(a["size_bytes"]), a["sha256"]] for a in evidence.artifacts],
    )
    result = evidence.result
    progress.say(f"  base      {result['base_commit']}")
    progress.say(f"  head      {result['head_commit']}  at {result['ref']}")
    progress.say(f"  approval  {evidence.gate['decided_by']} approved {evidence.gate['digest']}")
    progress.say(f"  evidence  {result['evidence']['digest']}, signed with Ed25519 by the daemon")
    progress.say(f"\n  admin     {stack.url}/admin/   {tenant.email}")
    if kept:
        progress.say_in_person(f"  password  {tenant.password}")
        progress.say("            everything keeps running; `make down` stops it")
        progress.say_in_person(
            "\n  planner   be one yourself, with the token of this demo:",
            *(
                f"    {line}"
                for line in planner.calls_of_ones_own(stack.url, token=tenant.token, project_id=tenant.project_id)
            ),
        )
    else:
        progress.say("            (stopped now; `make demo KEEP=1` leaves it running)")
    progress.say(f"\nAll of it was true, in {progress.elapsed_s:.1f} s.")


if __name__ == "__main__":
    sys.exit(main())
