"""A repository's configuration as a hostile attempt would write it, in the very moment in which the daemon starts git.

Whatever the daemon had looked at before, and whatever it looks at afterwards, is what it was: only git itself meets the
hostile one. Everything that git may be made to run leaves a trace in the canary.
"""

import ast
import shlex
import sys
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_daemon.worktrees import git

ROOT = Path(__file__).resolve().parents[4]
_HOOKS = (
    "applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg commit-msg "
    "post-commit pre-rebase post-checkout post-merge pre-push pre-receive update proc-receive post-receive post-update "
    "reference-transaction push-to-checkout pre-auto-gc post-rewrite sendemail-validate fsmonitor-watchman "
    "post-index-change"
).split()
_BUILTINS = (
    "add apply cat-file config diff-tree gc ls-files merge-tree prune read-tree rev-parse status update-ref".split()
)
_ATTRIBUTES = "* filter=evil diff=evil merge=evil\n*.bin filter=long\n"
_SETTINGS = """
[core]
	fsmonitor = {evil}
	hooksPath = {hooks}
	attributesFile = {attributes}
	editor = {evil}
	pager = {evil}
	sshCommand = {evil}
	gitProxy = {evil}
	askPass = {evil}
	alternateRefsCommand = {evil}
[sequence]
	editor = {evil}
[credential]
	helper = !{evil}
[gpg]
	program = {evil}
[commit]
	gpgSign = true
[merge]
	verifySignatures = true
	renormalize = true
	default = evil
[merge "evil"]
	driver = {evil}
[diff]
	external = {evil}
[diff "evil"]
	command = {evil}
	textconv = {evil}
[filter "evil"]
	clean = {evil}
	smudge = {evil}
[filter "long"]
	process = {evil}
[interactive]
	diffFilter = {evil}
[trailer "t"]
	command = {evil}
[uploadpack]
	packObjectsHook = {evil}
[submodule "sub"]
	update = !{evil}
	ignore = none
[protocol "ext"]
	allow = always
[protocol]
	allow = always
[remote "evil"]
	url = {here}
	uploadpack = {evil}
	promisor = true
[extensions]
	partialClone = evil
	worktreeConfig = true
[gc]
	auto = 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place in the code that starts git."""

    module: str
    first_line: int
    last_line: int


def sites_find() -> frozenset[Site]:
    """All of them: every call of `git.git`."""
    return frozenset(
        Site(module=str(path.relative_to(ROOT)), first_line=node.lineno, last_line=node.end_lineno or node.lineno)
        for path in sorted((ROOT / "local_daemon").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "git.git"
    )


@dataclass(kw_only=True)
class Hostility:
    """Takes the place of `git.git`. `common_dirs` are the repositories that attempts may write to."""

    folder: Path
    common_dirs: list[Path]
    seen: set[tuple[str, int]] = field(default_factory=set)
    _at_work: int = 0
    _saved: dict[Path, bytes | None] = field(default_factory=dict)
    _real: Any = git.git

    def __post_init__(self) -> None:
        self.evil = self.folder / "evil"
        self.evil.write_text(f'#!/bin/sh\necho "$0 $*" >> {shlex.quote(str(self.canary))}\ncat\n')
        self.evil.chmod(0o755)
        self.hooks = self.folder / "hooks"
        self.hooks.mkdir()
        for name in _HOOKS:
            (self.hooks / name).write_bytes(self.evil.read_bytes())
            (self.hooks / name).chmod(0o755)
        (self.folder / "attributes").write_text(_ATTRIBUTES)

    @property
    def canary(self) -> Path:
        return self.folder / "canary"

    def __call__(self, place: git.GitPlace, *arguments: str, **options: Any) -> Coroutine[Any, Any, git.GitAnswer]:
        frame = sys._getframe(1)
        module = str(Path(frame.f_code.co_filename).relative_to(ROOT))
        self.seen.add((module, frame.f_lineno))
        return self._run(module, frame.f_lineno, place, *arguments, **options)

    async def _run(self, module: str, line: int, place: git.GitPlace, *arguments: str, **options: Any) -> git.GitAnswer:
        self.poison()
        try:
            if not module.endswith("/configuration.py"):
                return await self._real(place, *arguments, **options)  # type: ignore[no-any-return]
            with suppress(git.GitFailed):
                await self._real(place, *arguments, **options)
        finally:
            self.cure()
            assert not self.canary.exists(), f"{module}:{line}: git {' '.join(arguments)} ran {self.canary.read_text()}"
        # What reads the configuration itself is to find the one that was there before.
        return await self._real(place, *arguments, **options)  # type: ignore[no-any-return]

    def missed(self) -> list[Site]:
        """The places in the code that nothing here came past."""
        return sorted(
            (
                site
                for site in sites_find()
                if not any(
                    module == site.module and site.first_line <= line <= site.last_line for module, line in self.seen
                )
            ),
            key=lambda site: (site.module, site.first_line),
        )

    def poison(self) -> None:
        """Write it, unless it stands there already."""
        self._at_work += 1
        if self._at_work > 1:
            return
        for common_dir in filter(Path.is_dir, self.common_dirs):
            settings = self._settings(common_dir)
            self._write(common_dir / "config", _read(common_dir / "config") + settings)
            self._write(common_dir / "info/attributes", _ATTRIBUTES.encode())
            for own in (common_dir, *common_dir.glob("worktrees/*")):
                self._write(own / "config.worktree", _read(own / "config.worktree") + settings)
            for name in _HOOKS:
                self._write(common_dir / "hooks" / name, self.evil.read_bytes())

    def cure(self) -> None:
        """Put back what was there."""
        self._at_work -= 1
        if self._at_work:
            return
        for path, content in self._saved.items():
            if content is not None:
                path.write_bytes(content)
            else:
                path.unlink(missing_ok=True)
        self._saved.clear()

    def _settings(self, common_dir: Path) -> bytes:
        aliases = "".join(f"\t{name} = !{self.evil}\n" for name in _BUILTINS)
        pagers = "".join(f"\t{name} = {self.evil}\n" for name in _BUILTINS)
        values = {"evil": self.evil, "hooks": self.hooks, "attributes": self.folder / "attributes", "here": common_dir}
        return f"{_SETTINGS.format(**values)}[alias]\n{aliases}[pager]\n{pagers}".encode()

    def _write(self, path: Path, content: bytes) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            self._saved[path] = path.read_bytes() if path.exists() else None
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755)


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def lines(sites: list[Site]) -> Iterator[str]:
    """To be read in a failure."""
    return (f"{site.module}:{site.first_line}" for site in sites)
