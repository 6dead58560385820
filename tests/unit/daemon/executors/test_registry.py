"""Executors by name: known ones only, and never another in its place."""

import pytest

from local_daemon.executors import port, registry


async def test_the_fakes_and_patch_are_there_and_available():
    built = registry.registry_build({})
    assert built.names == ("fake-blocker", "fake-failure", "fake-success", "fake-timeout", "patch")
    availabilities = await built.availabilities()
    assert {each.status for each in availabilities.values()} == {port.AvailabilityStatus.AVAILABLE}
    assert built.executor_get("patch").name == "patch"


def test_an_unknown_name_is_an_error():
    with pytest.raises(registry.UnknownExecutor):
        registry.registry_build({}).executor_get("codex")


@pytest.mark.parametrize("mode", ["test", "production"])
async def test_starts_are_counted_in_a_file_of_the_tests_only(run, tmp_path, mode):
    environ = {"ROPEWAY_ENV": mode, "ROPEWAY_FAKE_STARTS": str(tmp_path / "all starts")}
    await run(registry.registry_build(environ).executor_get("fake-success"))
    assert (tmp_path / "all starts").exists() == (mode == "test")
