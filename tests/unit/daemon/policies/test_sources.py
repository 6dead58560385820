"""The repository's policy comes from its committed file; a misspelt key is an error, never no rule."""

from pathlib import Path

import pytest

from local_daemon.policies import sources
from local_daemon.protocol.policies import Policy, Reaction, Threshold


def written(root: Path, text: str) -> Path:
    (root / ".ropeway").mkdir()
    (root / ".ropeway" / "repository.toml").write_text(text)
    return root


def test_the_table_is_read(tmp_path: Path) -> None:
    text = '[policy]\ndependencies = "gate"\nchanged_files = {over = 12, then = "fail"}\n'
    assert sources.policy_read(written(tmp_path, text)) == Policy(
        dependencies=Reaction.GATE, changed_files=Threshold(over=12, then=Reaction.FAIL)
    )


def test_without_file_or_table_there_is_no_policy(tmp_path: Path) -> None:
    assert sources.policy_read(tmp_path) is None
    assert sources.policy_read(written(tmp_path, "[defaults]\n")) is None


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
def test_what_is_not_valid_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(sources.PolicyInvalid, match=words):
        sources.policy_read(written(tmp_path, text))


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(sources.PolicyInvalid, match="longer than"):
        sources.policy_read(written(tmp_path, "#" * (sources.FILE_BYTES_MAX + 1)))
