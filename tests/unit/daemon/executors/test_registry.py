"""Executors by name: known ones only, and never another in its place."""

import re
import shutil
import threading

import pytest

from local_daemon.config import settings as daemon_settings
from local_daemon.executors import port, registry
from local_daemon.protocol.states import BudgetHold

BUILT_IN = {"fake-blocker", "fake-failure", "fake-success", "fake-timeout", "ide-chat", "patch"}
CLIS = {"claude", "codex", "gemini", "opencode", "qwen"}


async def test_what_needs_no_cli_is_always_available(tmp_path):
    built = registry.registry_build({"PATH": str(tmp_path)})
    assert set(built.names) == BUILT_IN | CLIS | {"antigravity"}
    availabilities = await built.availabilities()
    available = {name for name, each in availabilities.items() if each.status is port.AvailabilityStatus.AVAILABLE}
    assert available == BUILT_IN
    assert availabilities["codex"].status is port.AvailabilityStatus.MISSING
    assert await built.presences() == availabilities


async def test_programs_are_looked_for_while_everything_else_goes_on(tmp_path, monkeypatch):
    """A directory of the PATH may lie on another machine's disk, which may be slow to answer."""
    written = {
        "templates": {"tool": {"command": ["tool"]}},
        "agents": {"agent": {"command": ["agent"]}},
    }
    built = registry.registry_build({"PATH": str(tmp_path)}, daemon_settings.Settings.model_validate(written))
    looked_for, looked_from, real = set(), set(), shutil.which

    def which(program, **options):
        looked_for.add(program)
        looked_from.add(threading.current_thread())
        return real(program, **options)

    monkeypatch.setattr(shutil, "which", which)
    for look in (built.presences, built.availabilities):
        looked_for.clear()
        await look()
        assert {"codex", "tool", "agent"} <= looked_for
    assert threading.current_thread() not in looked_from


def test_an_unknown_name_is_an_error():
    with pytest.raises(registry.UnknownExecutor):
        registry.registry_build({}).executor_get("codec")


def test_a_profile_is_found_by_its_name_and_only_for_its_executor():
    built = build(profiles={"quick": {"executor": "codex", "model": "small"}, "claude": {"executor": "claude"}})
    assert built.profile_find("codex", "quick").model == "small"
    assert built.profile_find("codex", None) is None
    assert built.profile_find("claude", None).name == "claude"
    for executor, name in (("claude", "quick"), ("codex", "thorough")):
        with pytest.raises(registry.UnknownProfile):
            built.profile_find(executor, name)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ({"profiles": {"cheap": {"executor": "codex", "budget_usd": 1}}}, "budget"),
        ({"profiles": {"tight": {"executor": "opencode", "sandbox": "workspace", "approval": "never"}}}, "can't keep"),
        ({"profiles": {"who": {"executor": "nobody"}}}, "no executor nobody"),
        ({"profiles": {"codex": {"executor": "claude"}}}, "only a profile of codex"),
        ({"profiles": {"plain": {"executor": "patch"}}}, "has no profiles"),
        ({"templates": {"codex": {"command": ["true"]}}}, "two executors"),
        ({"templates": {"tool": {"command": ["tool", "{anything}"]}}}, "{anything}"),
        ({"templates": {"tool": {"command": ["{goal}"]}}}, "begin with a program"),
        ({"templates": {"tool": {"command": ["tool"], "params": {"x": "("}}}}, "params.x"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused_at_the_start(written, reason):
    with pytest.raises(registry.SettingsUnfit, match=re.escape(reason)):
        build(**written)


def test_the_values_of_keys_are_known_to_be_secret():
    built = build(
        profiles={"proxied": {"executor": "codex", "environment": ["TEAM_PROXY"]}},
        templates={"tool": {"command": ["tool"], "environment": ["TOOL_TOKEN"]}},
    )
    assert {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "TEAM_PROXY", "TOOL_TOKEN"} <= set(built.keys)


def build(**written):
    return registry.registry_build({}, daemon_settings.Settings.model_validate(written))


@pytest.mark.parametrize("mode", ["test", "production"])
async def test_starts_are_counted_in_a_file_of_the_tests_only(run, tmp_path, mode):
    environ = {"ROPEWAY_ENV": mode, "ROPEWAY_FAKE_STARTS": str(tmp_path / "all starts")}
    await run(registry.registry_build(environ).executor_get("fake-success"))
    assert (tmp_path / "all starts").exists() == (mode == "test")


def test_what_an_executor_is_given_of_the_environment_is_known_by_name():
    built = build(
        profiles={"proxied": {"executor": "codex", "environment": ["TEAM_PROXY"]}},
        agents={"own": {"command": ["own-agent"], "environment": ["OWN_TOKEN"]}},
    )
    assert {"OPENAI_API_KEY", "CODEX_HOME", "HTTPS_PROXY", "TEAM_PROXY"} <= built.passed_names("codex")
    assert "TEAM_PROXY" not in built.passed_names("claude")
    assert {"OWN_TOKEN", "HTTPS_PROXY"} <= built.passed_names("own")
    assert built.passed_names("patch") == built.passed_names("ide-chat") == frozenset()


def test_each_executor_that_spends_says_how_a_budget_is_held_with_it():
    built = build(templates={"tool": {"command": ["tool"]}}, agents={"own": {"command": ["own-agent"]}})
    held = {name: built.budgets(name) for name in built.names}
    assert {name for name, each in held.items() if each is None} == BUILT_IN
    assert held["codex"].tokens is held["gemini"].tokens is held["own"].tokens is BudgetHold.END
    assert held["claude"].cost_usd is BudgetHold.ITSELF
    assert held["tool"].tokens is held["antigravity"].cost_usd is BudgetHold.NEVER


def test_what_is_looked_for_on_the_path_is_known_by_name():
    built = build(
        templates={"tool": {"command": ["own-tool", "{goal}"]}},
        agents={"agent": {"command": ["gemini", "--acp"]}},
        profiles={"newer": {"executor": "codex", "program": "/opt/codex/bin/codex"}},
    )
    assert set(built.programs) == CLIS | {"own-tool", "/opt/codex/bin/codex"}
