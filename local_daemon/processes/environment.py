"""The environment a child gets: a short list of names, never the daemon's own.

Pure. The daemon's environment holds its token and whatever the operator's shell had; an executor sees what is listed
here, what policy names, and the attempt's identity. Called by the scheduler, the validation runner and `worktrees`.
Tests: tests/unit/daemon/processes/test_environment.py.
"""

from collections.abc import Collection, Mapping

PASSED_NAMES = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TERM", "TMPDIR", "TZ", "USER", "LOGNAME", "SHELL"})
"""What every child may know of the operator's session; names that begin with LC_ come along."""

_DEFAULTS = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def environment_select(
    source: Mapping[str, str], *, passed_names: Collection[str] = (), values: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The variables of `source` that are listed or named in `passed_names`, then `values` over them.
    Names of the daemon's own settings (ROPEWAY_…) are passed by `values` only, whatever policy says."""
    names = PASSED_NAMES | frozenset(passed_names)
    selected = {
        name: value
        for name, value in source.items()
        if (name in names or name.startswith("LC_")) and not name.startswith("ROPEWAY_")
    }
    return {**_DEFAULTS, **selected, **(values or {})}
