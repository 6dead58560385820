"""What the demo's planner does, in order, and what must be true after each step.

One run with one step: a patch, or a CLI that is told what to write; two checks, an approval that binds the patch's
digest, and the evidence. Deliberately written against MCP tools only. Called by `deploy/demo/__main__.py`.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from deploy.demo.planner import Planner
from deploy.demo.progress import Progress

PATCH = """\
diff --git a/ROPEWAY.md b/ROPEWAY.md
new file mode 100644
--- /dev/null
+++ b/ROPEWAY.md
@@ -0,0 +1,5 @@
+# Carried by Ropeway
+
+A planner wrote this file without ever seeing this machine: its patch travelled
+through one audited door, was applied in a worktree of its own, checked, approved
+by digest, and recorded.
"""
PATCH_EXECUTOR = "patch"
HEADING = "# Carried by Ropeway"
TASK = {
    "goal": (
        "Leave a note at the top of the repository that says how it got there: create the file ROPEWAY.md, whose first "
        f"line is exactly `{HEADING}`, followed by two sentences: that a planner asked for this file without ever "
        "seeing this machine, and that it was made in a worktree of its own, checked and recorded. Change nothing else."
    ),
    "title": "Leave a note",
    "allowed_paths": ["ROPEWAY.md"],
    "validations": [
        {"name": "note-exists", "command": "test -s ROPEWAY.md"},
        {"name": "no-space-errors", "command": "git diff --check HEAD"},
    ],
    "gates": {"after": "always"},
}
CALLS_AT_LEAST = 10
"""Calls this story makes before the audit is counted, at the very least."""
SETTLED = {"completed", "failed", "cancelled", "waiting", "needs_attention"}


class NotTrue(Exception):
    """Something the demo promises did not hold."""


def expect(holds: bool, claim: str) -> None:
    """Raise NotTrue with the claim unless it holds."""
    if not holds:
        raise NotTrue(claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the planner holds in hands at the end."""

    run: dict[str, Any]
    result: dict[str, Any]
    gate: dict[str, Any]
    patch: str
    validations: list[dict[str, Any]]
    artifacts: list[dict[str, Any]]


async def find_project(planner: Planner, project: str, progress: Progress) -> str:
    """The id of the project named `project`, which must be in exactly one place, online."""
    with progress.step("list projects") as learned:
        projects = (await planner.call("projects_list"))["items"]
        found = [item for item in projects if item["name"] == project]
        expect(len(found) == 1, f"the token sees exactly one project named {project!r}")
        learned.append(f"{found[0]['name']} ({found[0]['project_id']})")
        return str(found[0]["project_id"])


def task_for(executor: str) -> dict[str, Any]:
    """The same task, as a patch of ours or in words."""
    return {**TASK, "executor": executor, **({"patch": PATCH} if executor == PATCH_EXECUTOR else {})}


async def tell(planner: Planner, progress: Progress, *, executor: str = PATCH_EXECUTOR) -> Evidence:
    """Run the whole story for the planner's project and return what it ended with."""
    with progress.step("start a run") as learned:
        run = (await planner.call("runs_create", objective="Show what Ropeway does.", name="demo"))["run"]
        learned.append(run["run_id"])
    with progress.step("submit a TaskSpec") as learned:
        submitted = await planner.call("steps_submit", run_id=run["run_id"], name="note", task=task_for(executor))
        step_id = submitted["step"]["step_id"]
        learned.append(step_id)
    with progress.step("wait until it settles") as learned:
        step = await wait(planner, step_id)
        expect(step["state"] == "waiting", f"the step waits for approval, not {step['state']}: {step.get('failure')}")
        learned.append("waits on a gate")
    gate = await approve(planner, step_id, progress)
    with progress.step("wait for the end") as learned:
        step = await wait(planner, step_id)
        expect(step["state"] == "completed", f"the step completed, not {step['state']}: {step.get('failure')}")
        learned.append(step["state"])
    with progress.step("close the run") as learned:
        run = (await planner.call("runs_close", run_id=run["run_id"]))["run"]
        expect(run["state"] == "completed", f"the run completed, not {run['state']}")
        learned.append(run["state"])
    return await collect(planner, run, step_id, gate, progress)


async def wait(planner: Planner, step_id: str) -> dict[str, Any]:
    """The step once nothing more happens to it without a decision; each wait is held open by the daemon."""
    while True:
        answer = await planner.call("steps_wait", step_id=step_id, timeout_s=25)
        if not answer["timed_out"]:
            expect(answer["step"]["state"] in SETTLED, "a wait that did not time out answers with a settled step")
            return dict(answer["step"])


async def approve(planner: Planner, step_id: str, progress: Progress) -> dict[str, Any]:
    """Read the patch behind the gate, check that the gate names its digest, and approve exactly that digest."""
    with progress.step("read the gate and what it binds") as learned:
        result = await planner.call("steps_result", step_id=step_id)
        gate = await planner.call("gates_get", gate_id=result["gate_id"])
        patch = await planner.content(result["patch"])
        shown = hashlib.sha256(patch).hexdigest()
        expect(gate["digest"] == shown, "the gate binds the digest of the patch that was shown")
        learned.append(f"sha256 {shown[:16]}…")
    with progress.step("approve that digest") as learned:
        answer = await planner.call(
            "gates_decide", gate_id=gate["gate_id"], decision="approve", digest=shown, comment="Looks right."
        )
        expect(answer["gate"]["state"] == "approved", "the gate is approved")
        learned.append(f"by {answer['gate']['decided_by']}")
    return dict(answer["gate"])


async def collect(
    planner: Planner, run: dict[str, Any], step_id: str, gate: dict[str, Any], progress: Progress
) -> Evidence:
    """Fetch result, patch, validations and artifacts, each content checked against its digest."""
    with progress.step("read the result") as learned:
        result = await planner.call("steps_result", step_id=step_id)
        learned.append(", ".join(f"{change['status']} {change['path']}" for change in result["changes"]))
    with progress.step("read the patch") as learned:
        patch = (await planner.content(result["patch"])).decode()
        expect(f"+{HEADING}" in patch, "the patch holds the note")
        learned.append(f"{len(patch)} bytes, digest checked")
    with progress.step("read the validations") as learned:
        validations = (await planner.call("validations_list", step_id=step_id))["items"]
        expect([item["verdict"] for item in validations] == ["passed", "passed"], "both validations passed")
        learned.append(", ".join(f"{item['name']} {item['verdict']}" for item in validations))
    with progress.step("read every artifact") as learned:
        artifacts = (await planner.call("artifacts_list", step_id=step_id))["items"]
        for artifact in artifacts:
            await planner.content(artifact)
        expect(result["evidence"] is not None, "the evidence is signed")
        learned.append(f"{len(artifacts)} artifacts, all digests checked")
    return Evidence(run=run, result=result, gate=gate, patch=patch, validations=validations, artifacts=artifacts)


async def audit_rollup(planner: Planner) -> list[dict[str, Any]]:
    """The rows of the audit rollup that tell of this story, as the worker counted them."""
    rows = (await planner.call("audit_rollup"))["items"]
    counted = {row["event_type"]: row["count"] for row in rows}
    expect(counted.get("call:accepted", 0) >= CALLS_AT_LEAST, "the rollup counts the calls of this story")
    return list(rows)
