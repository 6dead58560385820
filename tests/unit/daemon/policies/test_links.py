"""Links that lead out of the tree, or might."""

import pytest

from local_daemon.policies import links


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", "/etc/passwd"), ("a", ".."), ("a", "../x"), ("d/a", "../../x"), ("d/a", ".././../x"),
        ("d/a", "e/../x"), ("d/e/a", "../f/../../x"), ("a", ".git/config"), ("d/a", "../.GIT/hooks"), ("a", "./..//x"),
    ],
)  # fmt: skip
def test_a_link_that_may_lead_out_is_named(path: str, target: str) -> None:
    assert links.links_outward([links.Link(path=path, target=target)]) == (path,)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", "b"),
        ("d/a", "../b"),
        ("d/e/a", "../../b/c"),
        ("a", "./b/"),
        ("d/a", ".."),
        ("a", ".gitignore"),
        ("a", "..b"),
    ],
)
def test_a_link_that_stays_inside_is_not(path: str, target: str) -> None:
    assert links.links_outward([links.Link(path=path, target=target)]) == ()
