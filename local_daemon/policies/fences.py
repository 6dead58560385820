"""Which paths a pattern means: `*` and `?` within one name, `**` over any number of folders, a folder for all below it.

Pure, and linear in what a planner may send: no regular expression is made of a pattern. Brackets are plain characters,
as in `app/[id]/page.tsx`. Where a pattern could be read in two ways, a fence forbids the more and allows the less: one
without a slash (`.env`, `*.pem`) forbids at any depth, but allows only at the top. Case counts, as it does to git.
Called by `rules`. Tests: tests/unit/daemon/policies/test_fences.py.
"""

from collections.abc import Iterable, Sequence


def paths_forbidden(paths: Iterable[str], *, forbidden: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths that a forbidding pattern means."""
    patterns = [_parts(pattern if "/" in pattern.rstrip("/") else f"**/{pattern}") for pattern in forbidden]
    return tuple(path for path in paths if _is_meant(path, patterns))


def paths_outside(paths: Iterable[str], *, allowed: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths that no allowing pattern means; without any pattern, everything is allowed."""
    patterns = [_parts(pattern) for pattern in allowed]
    return tuple(path for path in paths if patterns and not _is_meant(path, patterns))


def _parts(pattern: str) -> tuple[str, ...]:
    parts = tuple(part for part in pattern.split("/") if part not in ("", "."))
    # At the end it means what lies below, not the folder's own name.
    return (*parts, "*") if parts and parts[-1] == "**" else parts


def _is_meant(path: str, patterns: Sequence[tuple[str, ...]]) -> bool:
    names = path.split("/")
    return any(_path_matches(parts, names) for parts in patterns)


def _path_matches(parts: tuple[str, ...], names: Sequence[str]) -> bool:
    """Walk all readings of the pattern at once: a reading is how many of its parts were used up so far."""
    end = len(parts)
    readings = _past_any_folders(parts, {0})
    for name in names:
        if end in readings:
            return True  # the pattern named a folder above
        after = set()
        for reading in readings:
            if parts[reading] == "**":
                after.add(reading)
            elif _name_matches(parts[reading], name):
                after.add(reading + 1)
        readings = _past_any_folders(parts, after)
    return end in readings


def _past_any_folders(parts: tuple[str, ...], readings: set[int]) -> set[int]:
    """`**` may also stand for no folder at all."""
    reached = set(readings)
    for index, part in enumerate(parts):
        if part == "**" and index in reached:
            reached.add(index + 1)
    return reached


def _name_matches(pattern: str, name: str) -> bool:
    """`*` and `?` within one name. Only the last star is ever taken back, so there is no blow-up."""
    at, position, star, star_position = 0, 0, -1, 0
    while position < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, star_position = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[position]):
            at += 1
            position += 1
        elif star >= 0:
            star_position += 1
            at, position = star + 1, star_position
        else:
            return False
    return not pattern[at:].strip("*")
