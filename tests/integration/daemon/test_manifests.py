"""A manifest on real git: steps begin with what they build on, and a restart forgets nothing of the plan."""

from pathlib import Path
from typing import Any

from local_daemon.manifests import services
from local_daemon.manifests.records import Manifest
from local_daemon.protocol import states
from local_daemon.protocol.manifests import RunManifest
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make


def writes(name: str, **fields: Any) -> dict[str, Any]:
    task = {"goal": "g", "executor": "fake-success", "params": {"files": {f"{name}.txt": name}}}
    return {"name": name, "task": task, **fields}


async def submit(machine: Machine, *steps: dict[str, Any]) -> Manifest:
    manifest = RunManifest.model_validate({"objective": "o", "order": "sequence", "steps": steps})

    def apply(tx: Any) -> Manifest:
        return services.manifest_submit(tx, repository_id=machine.repository_id, manifest=manifest, policies=())[0]

    return await machine.shop.database.write("manifest_submit", apply)


async def test_a_step_begins_with_the_changes_it_builds_on_and_its_patch_holds_its_own_only(tmp_path: Path) -> None:
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        manifest = await submit(machine, writes("one"), writes("two", builds_on="one"), writes("three"))
        for planned in manifest.steps:
            await machine.until(planned.step_id)
        one, two, three = (machine.result(planned.step_id) for planned in manifest.steps)
        assert two.base_commit == one.head_commit
        assert [change.path for change in two.changes] == ["two.txt"]
        assert git(machine.root, "show", f"{two.ref}:one.txt") == "one"
        assert three.base_commit == one.base_commit


async def test_a_restart_goes_on_with_the_plan(tmp_path: Path) -> None:
    repository = repository_make(tmp_path / "repository")
    async with machine_start(tmp_path / "home", repository) as machine:
        await machine.scheduler.drain()
        manifest = await submit(machine, writes("one"), writes("two", builds_on="one"))
    async with machine_start(tmp_path / "home", repository) as machine:
        for planned in manifest.steps:
            assert (await machine.until(planned.step_id)).state is states.StepState.COMPLETED
