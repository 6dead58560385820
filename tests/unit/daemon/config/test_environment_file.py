"""What is kept for a daemon comes back as it was, for its owner only, and no error tells a value."""

import stat
from pathlib import Path

import pytest

from local_daemon.config import environment_file, settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "environment"


def test_nothing_is_kept_where_there_is_no_file(path: Path) -> None:
    assert environment_file.environment_read(path) == {}


def test_odd_values_come_back_as_they_were_for_their_owner_only(path: Path) -> None:
    kept = {"A": "sk-1=2", "B": '"quoted"', "C": "  spaces  ", "D": "'", "E": "", "F": "# no comment", "G": "\\n $HOME"}
    environment_file.environment_write(path, kept)
    assert environment_file.environment_read(path) == kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keeping_nothing_leaves_no_file(path: Path) -> None:
    environment_file.environment_write(path, {"A": "1"})
    environment_file.environment_write(path, {})
    assert not path.exists()


def test_lines_as_people_write_them_are_understood(path: Path) -> None:
    path.write_text("# mine\n\nexport OPENAI_API_KEY='sk-1'\n  HTTPS_PROXY = http://proxy:1\r\nA=b # c\n")
    with pytest.raises(settings.SettingsInvalid, match="line 4"):
        environment_file.environment_read(path)
    path.write_text("# mine\n\nexport OPENAI_API_KEY='sk-1'\n  HTTPS_PROXY= http://proxy:1\r\nA=b # c\n")
    assert environment_file.environment_read(path) == {
        "OPENAI_API_KEY": "sk-1", "HTTPS_PROXY": "http://proxy:1", "A": "b # c"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("sk-secret", "NAME=value"),
        ("1A=sk-secret", "NAME=value"),
        ("PATH=/sk-secret", "PATH"),
        ("ROPEWAY_HOME=sk-secret", "ROPEWAY_HOME"),
        ("A=sk-secret\x07", "A"),
        ("A=sk-secret\x00", "A"),
    ],
)
def test_a_line_that_can_not_be_is_named_without_its_value(path: Path, line: str, named: str) -> None:
    path.write_text(f"GOOD=1\n{line}\n")
    with pytest.raises(settings.SettingsInvalid) as refused:
        environment_file.environment_read(path)
    assert "line 2" in str(refused.value)
    assert named in str(refused.value)
    assert "sk-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"), [("PATH", "/bin"), ("ROPEWAY_ENV", "test"), ("A", "1\n2"), ("A B", "1"), ("A", "x" * 70_000)]
)
def test_what_could_not_be_read_again_is_not_written(path: Path, name: str, value: str) -> None:
    environment_file.environment_write(path, {"KEPT": "1"})
    with pytest.raises(environment_file.NotToBeKept) as refused:
        environment_file.environment_write(path, {name: value})
    assert value not in str(refused.value)
    assert environment_file.environment_read(path) == {"KEPT": "1"}


@pytest.mark.parametrize("content", [b"A=\xff\n", b"# " + b"x" * 70_000])
def test_a_file_that_is_no_text_or_too_long_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(settings.SettingsInvalid, match="environment"):
        environment_file.environment_read(path)
