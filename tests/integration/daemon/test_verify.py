"""`ropeway verify --manifest`: evidence that was brought to a machine without its record."""

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.daemon.shell import Operator


@pytest.fixture(scope="module")
def exported(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence of a step in a folder of its own, with its result."""
    folder = tmp_path_factory.mktemp("evidence")
    operator.ask("init")
    result = operator.ask("submit", "--wait", "--quiet", "--executor", "fake-success", "--goal", "Change something.")
    (folder / "result.json").write_text(json.dumps(result))
    for artifact in result["artifacts"]:
        blob = operator.home / "artifacts" / artifact["sha256"][:2] / artifact["sha256"][2:]
        shutil.copy(blob, folder / Path(artifact["name"]).name)
    return folder


@pytest.fixture
def elsewhere(operator: Operator, tmp_path: Path) -> Operator:
    """The same person on a machine where no daemon ever ran."""
    return Operator(home=tmp_path / "home", repository=operator.repository)


def words(folder: Path) -> tuple[str, ...]:
    return ("verify", "--manifest", str(folder / "evidence.json"), "--result", str(folder / "result.json"))


def test_a_result_whose_reference_is_gone_is_named(newcomer: Operator) -> None:
    result = newcomer.ask("submit", "--wait", "--quiet", "--executor", "fake-success", "--goal", "Change something.")
    assert newcomer.ask("verify")["ok"]
    shutil.rmtree(newcomer.repository / ".git/refs/ropeway")
    said = newcomer.say("verify", "--json")
    assert said.code == 28
    (finding,) = said.document["findings"]
    assert result["ref"] in finding


def test_evidence_holds_elsewhere_by_the_key_that_is_told_at_home(
    operator: Operator, elsewhere: Operator, exported: Path
) -> None:
    key = operator.ask("identity", "show")["public_key"]
    report = elsewhere.ask(*words(exported), "--key", key)
    assert report["ok"]
    assert report["artifacts"] >= 2
    assert report["absent"] == []
    assert not elsewhere.home.exists()


def test_at_home_no_key_need_be_named(operator: Operator, exported: Path) -> None:
    assert operator.ask(*words(exported))["ok"]


def test_a_home_that_was_put_back_to_an_older_copy_lacks_what_it_signed_since(
    operator: Operator, exported: Path, tmp_path: Path
) -> None:
    restored = Operator(home=tmp_path / "home", repository=operator.repository)
    restored.home.mkdir(mode=0o700)
    shutil.copy(operator.home / "identity.json", restored.home)
    assert restored.ask(*words(exported))["ok"]
    restored.ask("init")
    restored.daemon_kill()
    said = restored.say(*words(exported))
    assert said.code == 28
    assert "this home's record does not have it" in said.out


def test_a_key_that_nobody_named_vouches_for_nothing(elsewhere: Operator, exported: Path) -> None:
    said = elsewhere.say(*words(exported))
    assert said.code == 28
    assert "nobody here vouches for" in said.out


def test_a_changed_artifact_beside_it_is_named(operator: Operator, exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    patch = next(folder.glob("*.patch"))
    patch.write_text("other")
    said = operator.say(*words(folder), "--json")
    assert said.code == 28
    assert any(patch.name in finding for finding in said.document["findings"])


def test_a_result_that_is_not_the_manifests_is_named(operator: Operator, exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**result, "head_commit": "0" * 40}))
    said = operator.say(*words(folder), "--json")
    assert said.code == 28
    assert said.document["findings"] == ["the result's head_commit is not the one that was signed"]


def test_where_no_artifact_lies_beside_it_the_first_line_says_so(
    operator: Operator, exported: Path, tmp_path: Path
) -> None:
    for name in ("evidence.json", "result.json"):
        shutil.copy(exported / name, tmp_path)
    first, *rest = operator.say(*words(tmp_path)).out.splitlines()
    assert first.startswith("It holds: ")
    assert first.endswith("but no artifact lies beside it to check.")
    assert "  not signed, and the result's word alone: state, summary, failure, warnings" in rest


@pytest.mark.parametrize(
    ("executor", "check"),
    [("fake-success", "true"), ("fake-success", "false"), ("fake-failure", "true"), ("fake-blocker", "true")],
)
def test_whatever_a_step_came_to_its_result_is_what_was_signed(
    operator: Operator, tmp_path: Path, executor: str, check: str
) -> None:
    words_of = ("submit", "--wait", "--quiet", "--executor", executor, "--goal", "Do.", "--check", check, "--json")
    result = operator.say(*words_of).document
    blob = next(each["sha256"] for each in result["artifacts"] if each["kind"] == "manifest")
    shutil.copy(operator.home / "artifacts" / blob[:2] / blob[2:], tmp_path / "evidence.json")
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert operator.ask(*words(tmp_path))["findings"] == []


def test_options_that_do_not_go_together_are_refused(operator: Operator, exported: Path) -> None:
    assert operator.say("verify", "--key", "x").code == 30
    assert operator.say("verify", "--manifest", str(exported / "evidence.json")).code == 30
    said = operator.say("verify", "--manifest", str(exported / "evidence.json"), "--result", __file__)
    assert said.code == 30
    assert "no result of a step" in said.err
