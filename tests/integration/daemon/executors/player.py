"""A program that plays a CLI: real process, recorded words.

Installed on a PATH of its own under the CLI's name. It answers the version probe, keeps what it was called with, and
then plays its scene, a few lines of shell. `STARTED` is a pipe on which a scene tells that it has come so far.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

TRANSCRIPTS = Path(__file__).parent / "transcripts"
_PROGRAM = """\
#!/bin/sh
here=$(dirname "$0")/{name}.d
case "$*" in
  --version) cat "$here/version"; exit 0 ;;
  "login status" | "auth status") exit "$(cat "$here/login")" ;;
esac
printf '%s\\n' "$@" >"$here/arguments"
env >"$here/environment"
{reading}
STARTED=$here/started
. "$here/scene"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """The program and what it was last called with."""

    directory: Path
    name: str

    @property
    def _here(self) -> Path:
        return self.directory / f"{self.name}.d"

    def play(self, scene: str) -> None:
        """Do this when called next."""
        (self._here / "scene").write_text(scene)

    def version(self, printed: str) -> None:
        """Say this to `--version` from now on."""
        (self._here / "version").write_text(printed + "\n")
        os.utime(self.directory / self.name, ns=(0, len(printed)))  # A probe remembers a file while it is unchanged.

    def login(self, *, is_there: bool) -> None:
        """Say whether somebody is logged in."""
        (self._here / "login").write_text("0" if is_there else "1")

    @property
    def arguments(self) -> list[str]:
        """What it was called with."""
        return (self._here / "arguments").read_text().splitlines()

    @property
    def environment(self) -> dict[str, str]:
        """What it saw of the environment."""
        lines = (self._here / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    @property
    def prompt(self) -> str:
        """What was on its standard input."""
        return (self._here / "prompt").read_text()

    @property
    def is_called(self) -> bool:
        """Whether it was started at all, probes aside."""
        return (self._here / "arguments").exists()

    async def started(self) -> str:
        """What the scene writes to `$STARTED`, once it does."""
        async with asyncio.timeout(20):
            return await asyncio.to_thread((self._here / "started").read_text)


def player_install(directory: Path, name: str, *, talks: bool = False) -> Player:
    """A player on that PATH, with an empty scene. One that talks leaves its standard input to the scene."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / name
    reading = 'PROMPT="$here/prompt"' if talks else 'cat >"$here/prompt"'
    program.write_text(_PROGRAM.format(name=name, reading=reading))
    program.chmod(0o755)
    here = directory / f"{name}.d"
    here.mkdir()
    os.mkfifo(here / "started")
    player = Player(directory=directory, name=name)
    player.play("exit 0\n")
    player.version("999.0.0")
    player.login(is_there=True)
    return player


def transcript(name: str) -> Path:
    """A recorded stream: `codex-success`."""
    return TRANSCRIPTS / f"{name}.jsonl"
