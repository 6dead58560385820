import os
import tomllib
from pathlib import Path

import pytest

from local_daemon.config import repository_file
from local_daemon.policies import sources


def written(root: Path, text: str) -> Path:
    path = root / repository_file.PLACE
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_a_repository_without_a_file_has_no_defaults(tmp_path: Path) -> None:
    assert repository_file.defaults_read(tmp_path) == repository_file.Defaults()


@pytest.mark.parametrize("executor", [None, "codex"])
def test_what_is_written_is_what_is_read(tmp_path: Path, executor: str | None) -> None:
    assert repository_file.file_write(tmp_path, executor=executor)
    assert repository_file.defaults_read(tmp_path).executor == executor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[defaults]\n",
        '[defaults]\nexecutor = "claude"\n',
        '[defaults]\n# executor = "claude"\nprofile = "careful"\n',
        '[policy]\nexecutor = "mine"\n',
        '[defaults]\nprofile = "p"\n\n[policy]\nexecutor = "mine"\n',
    ],
)
def test_a_new_default_changes_its_line_only(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    before = tomllib.loads(text)
    repository_file.file_write(tmp_path, executor="codex")
    after = tomllib.loads(path.read_text())
    assert after.get("policy") == before.get("policy")
    assert after["defaults"] == {**before.get("defaults", {}), "executor": "codex"}


@pytest.mark.parametrize("text", ["[defaults", '[defaults]\nexecutor = "Not A Name"\n', "[defaults]\nx = 1\n", "\xff"])
def test_what_is_not_valid_names_the_file(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, "")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(repository_file.RepositoryFileInvalid, match=r"repository\.toml"):
        repository_file.defaults_read(tmp_path)


@pytest.mark.parametrize("text", ["[polciy]\nstart = 'gate'\n", "start = 'gate'\n", "[[defaults-]]\n"])
def test_a_table_that_nothing_reads_is_refused_whichever_is_asked_for(tmp_path: Path, text: str) -> None:
    written(tmp_path, text)
    name = next(iter(tomllib.loads(text)))
    with pytest.raises(repository_file.RepositoryFileInvalid, match=rf"{name}: nothing reads this.*\[policy\]"):
        repository_file.defaults_read(tmp_path)
    with pytest.raises(sources.PolicyInvalid, match=rf"{name}: nothing reads this"):
        sources.policy_parse(text.encode())


def test_the_root_is_found_from_within_and_not_outside(tmp_path: Path) -> None:
    (tmp_path / "r" / ".git").mkdir(parents=True)
    (tmp_path / "r" / "a" / "b").mkdir(parents=True)
    assert repository_file.root_find(tmp_path / "r" / "a" / "b") == tmp_path / "r"
    assert repository_file.root_find(tmp_path) is None


def test_a_pipe_in_its_place_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / repository_file.PLACE).parent.mkdir()
    os.mkfifo(tmp_path / repository_file.PLACE)
    with pytest.raises(repository_file.RepositoryFileInvalid, match="not a file"):
        repository_file.defaults_read(tmp_path)
    with pytest.raises(repository_file.RepositoryFileInvalid, match="not a file"):
        repository_file.file_write(tmp_path, executor="codex")


def test_of_a_file_without_end_no_more_is_read_than_shows_that(tmp_path: Path) -> None:
    (tmp_path / repository_file.PLACE).parent.mkdir()
    (tmp_path / repository_file.PLACE).write_text("#" * (repository_file.BYTES_MAX + 1))
    with pytest.raises(repository_file.RepositoryFileInvalid, match="longer than"):
        repository_file.defaults_read(tmp_path)
