"""The repository's policy comes from its committed file; a misspelt key is an error, never no rule."""

import pytest

from local_daemon.config import repository_file
from local_daemon.policies import sources
from local_daemon.protocol.policies import Policy, Reaction, Threshold


def test_the_table_is_read() -> None:
    text = '[policy]\ndependencies = "gate"\nchanged_files = {over = 12, then = "fail"}\n'
    assert sources.policy_parse(text.encode()) == Policy(
        dependencies=Reaction.GATE, changed_files=Threshold(over=12, then=Reaction.FAIL)
    )


def test_without_a_table_there_is_no_policy() -> None:
    assert sources.policy_parse(b"") is None
    assert sources.policy_parse(b"[defaults]\n") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[policy]\ndependancies = "gate"\n', "policy.dependancies"),
        ('[policy]\ndependencies = "maybe"\n', "policy.dependencies"),
        ('[policy]\nsecrets = "allow"\n', "policy.secrets"),
        ("[policy]\nchanged_files = {over = -1}\n", "policy.changed_files.over"),
        ('[[policy.paths]]\npatterns = ["../x"]\n', "policy.paths.0.patterns.0"),
        ("[policy\n", "repository.toml"),
    ],
)
def test_what_is_not_valid_is_named(text: str, words: str) -> None:
    with pytest.raises(sources.PolicyInvalid, match=words):
        sources.policy_parse(text.encode())


def test_a_file_without_end_is_not_read() -> None:
    with pytest.raises(sources.PolicyInvalid, match="longer than"):
        sources.policy_parse(b"#" * (repository_file.BYTES_MAX + 1))
