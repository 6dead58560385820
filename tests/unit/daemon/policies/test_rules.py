"""Fences fail, secrets gate, everything else is allowed."""

from local_daemon.policies import rules
from local_daemon.protocol import specs


def task(**fields: object) -> specs.TaskSpec:
    return specs.TaskSpec.model_validate({"goal": "g", "executor": "fake", **fields})


def changed(path: str, old_path: str | None = None) -> specs.ChangedFile:
    return specs.ChangedFile(path=path, old_path=old_path, status="R" if old_path else "M")


def test_changes_within_the_fences_are_allowed() -> None:
    decision = rules.changes_judge(task=task(allowed_paths=["src"]), changes=[changed("src/a.py")], patch=b"+a")
    assert decision == rules.Allow()


def test_a_forbidden_path_fails_even_where_it_is_allowed_too() -> None:
    fenced = task(allowed_paths=["src"], forbidden_paths=["src/keys"])
    decision = rules.changes_judge(task=fenced, changes=[changed("src/keys/a")], patch=b"")
    assert decision == rules.Fail(detail="changed forbidden paths: src/keys/a")


def test_a_rename_out_of_a_forbidden_folder_fails() -> None:
    decision = rules.changes_judge(
        task=task(forbidden_paths=["keys"]), changes=[changed("public/a", "keys/a")], patch=b""
    )
    assert decision == rules.Fail(detail="changed forbidden paths: keys/a")


def test_a_path_outside_of_the_allowed_ones_fails_and_many_are_counted() -> None:
    decision = rules.changes_judge(
        task=task(allowed_paths=["src"]), changes=[changed(f"other/{index}") for index in range(7)], patch=b""
    )
    assert isinstance(decision, rules.Fail)
    assert decision.detail.endswith("other/4 and 2 more")


def test_a_secret_in_the_patch_asks_for_a_person_without_repeating_it() -> None:
    secret = "ghp_" + "a1" * 18
    decision = rules.changes_judge(task=task(), changes=[changed("a")], patch=f"-{secret}\n".encode())
    assert isinstance(decision, rules.Gate)
    assert "a GitHub token" in decision.reason
    assert secret not in decision.reason
