"""Operators' homes: for each CLI, one in which somebody is logged in to the scripted model.

What an operator has from `codex login` and the like stands here as the files and variables that such a login leaves.
The daemon runs with this home and this environment, as it would with theirs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.executors.model_server import MODEL

KEY = "scripted-key-0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One CLI and what its operator has. `profile` is the operator's for tasks that run commands."""

    cli: str
    write: Callable[[Path, str], None]  # into that home, for the model at that address
    environment: Callable[[str], dict[str, str]]
    profile: Mapping[str, object]
    passed: tuple[str, ...] = ()
    acp: tuple[str, ...] | None = None  # the arguments with which it speaks the Agent Client Protocol
    model: str = MODEL
    reports_model: bool = True
    counts_cost: bool = False
    gives_up: bool = False  # on a model that fails, before anybody loses patience

    def __str__(self) -> str:
        return self.cli


def _codex(home: Path, url: str) -> None:
    directory = home / ".codex"
    directory.mkdir()
    (directory / "config.toml").write_text(
        f"""\
model = "{MODEL}"
model_provider = "scripted"
check_for_update_on_startup = false
[model_providers.scripted]
name = "scripted"
base_url = "{url}/v1"
env_key = "SCRIPTED_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""
    )


def _gemini(home: Path, url: str) -> None:
    directory = home / ".gemini"
    directory.mkdir()
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "general": {"maxAttempts": 1}}
    (directory / "settings.json").write_text(json.dumps(settings))


def _opencode(home: Path, url: str) -> None:
    directory = home / ".config" / "opencode"
    directory.mkdir(parents=True)
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{url}/v1", "apiKey": KEY},
        "models": {MODEL: {"cost": {"input": 1, "output": 2}}},
    }
    permission = {"bash": "ask"}  # By itself it asks for nothing.
    document = {"provider": {"scripted": provider}, "model": f"scripted/{MODEL}", "permission": permission}
    (directory / "opencode.json").write_text(json.dumps(document))


def _nothing(home: Path, url: str) -> None:
    """Its login is in the environment alone."""


LOGINS = (
    Login(
        cli="codex",
        write=_codex,
        environment=lambda url: {"SCRIPTED_KEY": KEY},
        profile={},
        passed=("SCRIPTED_KEY",),
        reports_model=False,
        gives_up=True,
    ),
    Login(
        cli="claude",
        write=_nothing,
        environment=lambda url: {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_MAX_RETRIES": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "IS_SANDBOX": "1",
        },
        profile={"sandbox": "off", "model": "claude-sonnet-4-5", "budget_usd": 5},
        passed=("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",),
        model="claude-sonnet-4-5",
        counts_cost=True,
        gives_up=True,
    ),
    Login(
        cli="gemini",
        write=_gemini,
        environment=lambda url: {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": KEY},
        profile={"sandbox": "off", "model": "gemini-2.5-flash"},
        acp=("--acp", "--skip-trust", "-m", "gemini-2.5-flash"),
        model="gemini-2.5-flash",
        gives_up=True,
    ),
    Login(
        cli="opencode",
        write=_opencode,
        environment=lambda url: {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"},
        profile={"sandbox": "off"},
        acp=("acp",),
        reports_model=False,
        counts_cost=True,
    ),
    Login(
        cli="qwen",
        write=_nothing,
        environment=lambda url: {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": KEY, "OPENAI_MODEL": MODEL},
        profile={"sandbox": "off"},
        acp=("--acp", "--auth-type", "openai"),
    ),
)
