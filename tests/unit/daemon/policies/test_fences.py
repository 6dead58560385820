"""A fence forbids the more and allows the less."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.policies import fences


@pytest.mark.parametrize(
    ("pattern", "path", "is_forbidden"),
    [
        (".env", ".env", True),
        (".env", "deep/down/.env", True),
        (".env", ".env.example", False),
        (".env", ".env/inside", True),
        ("*.pem", "keys/server.pem", True),
        ("secrets/", "app/secrets/token", True),
        ("src/secrets", "src/secrets", True),
        ("src/secrets", "src/secrets/a/b", True),
        ("src/secrets", "other/src/secrets/a", False),
        ("**/secrets/**", "a/b/secrets/c", True),
        ("**/secrets/**", "secrets/c", True),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("a/**/z", "b/a/z", False),
        ("a/*/z", "a/b/c/z", False),
        ("a/**", "a", False),
        ("a/**", "a/b", True),
        ("**", "anything/at/all", True),
        ("./a", "a/b", True),
        ("?.txt", "a.txt", True),
        ("?.txt", "ab.txt", False),
        ("app/[id]/page.tsx", "app/[id]/page.tsx", True),
        ("app/[id]/page.tsx", "app/i/page.tsx", False),
        ("A.txt", "a.txt", False),
        ("*a*b*c", "xxaxxbxxc", True),
        ("*a*b*c", "xxaxxbxx", False),
    ],
)
def test_what_a_forbidding_pattern_means(pattern: str, path: str, is_forbidden: bool) -> None:
    assert fences.paths_forbidden([path], forbidden=[pattern]) == ((path,) if is_forbidden else ())


@pytest.mark.parametrize(
    ("pattern", "path", "is_allowed"),
    [
        ("src", "src/a.py", True),
        ("src/", "src/a.py", True),
        ("src", "vendor/src/a.py", False),
        ("*.md", "README.md", True),
        ("*.md", "docs/a.md", False),
        ("**/*.md", "docs/a.md", True),
        ("**/*.md", "README.md", True),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/b/a.py", False),
        ("src", "srcs/a.py", False),
    ],
)
def test_what_an_allowing_pattern_means(pattern: str, path: str, is_allowed: bool) -> None:
    assert fences.paths_outside([path], allowed=[pattern]) == (() if is_allowed else (path,))


def test_without_a_fence_everything_is_allowed_and_nothing_forbidden() -> None:
    assert fences.paths_outside(["a"], allowed=[]) == ()
    assert fences.paths_forbidden(["a"], forbidden=[]) == ()


NAMES = st.text(alphabet="ab.*?[", min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)


@given(PATHS)
def test_a_path_without_wildcards_means_itself_and_all_below(path: str) -> None:
    assert fences.paths_outside([path, f"{path}/x"], allowed=[path]) == ()


@given(PATHS, PATHS)
def test_what_an_allowing_pattern_means_a_forbidding_one_means_too(pattern: str, path: str) -> None:
    if not fences.paths_outside([path], allowed=[pattern]):
        assert fences.paths_forbidden([path], forbidden=[pattern]) == (path,)


def test_a_hostile_pattern_costs_little() -> None:
    started = time.process_time()
    paths = ["/".join(["a" * 50] * 40)] * 20
    fences.paths_forbidden(paths, forbidden=["/".join(["**", "*a*a*a*a*b"] * 30), "**/" * 160 + "b"])
    assert time.process_time() - started < 2
