"""Fences fail, secrets gate, policies say more, and of all that applies the strictest word wins."""

import pytest

from local_daemon.policies import rules
from local_daemon.policies.links import Link
from local_daemon.protocol import specs
from local_daemon.protocol.policies import Policy, Reaction


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


def test_a_secret_that_is_known_in_the_patch_asks_for_a_person_by_its_name_only() -> None:
    known = {"DATABASE_URL": "postgres://u:hunter2@db/x", "MODE": "fast", "OTHER": "not in there"}
    patch = b"+url = 'postgres://u:hunter2@db/x'  # fast\n"
    decision = rules.changes_judge(task=task(), changes=[changed("a")], patch=patch, known_secrets=known)
    assert isinstance(decision, rules.Gate)
    assert "the value of DATABASE_URL" in decision.reason
    assert not any(word in decision.reason for word in ("hunter2", "MODE", "OTHER"))


def test_a_secret_in_the_patch_asks_for_a_person_without_repeating_it() -> None:
    secret = "ghp_" + "a1" * 18
    decision = rules.changes_judge(task=task(), changes=[changed("a")], patch=f"-{secret}\n".encode())
    assert isinstance(decision, rules.Gate)
    assert "a GitHub token" in decision.reason
    assert secret not in decision.reason


def test_secrets_are_seen_wherever_they_stand_in_a_long_patch() -> None:
    known = {"DB_PASSWORD": "hunter2-hunter2"}
    found = [f"+ghp_{'a1' * 18}\n".encode(), b"+hunter2-hunter2\n"]
    filling = b"+" + b"x" * 79 + b"\n"
    for before in (0, 3_276, 3_277, 3_278, 20_000):  # A piece ends around these, and is one of several.
        patch = filling * before + found[before % 2] + filling * 5_000 + found[1 - before % 2]
        decision = rules.changes_judge(task=task(), changes=[changed("a")], patch=patch, known_secrets=known)
        assert isinstance(decision, rules.Gate)
        assert "a GitHub token and the value of DB_PASSWORD" in decision.reason


def judged(written: dict[str, object], *changes: specs.ChangedFile, patch: bytes = b"+a") -> rules.Decision:
    policy = Policy.model_validate(written)
    return rules.changes_judge(task=task(), changes=changes, patch=patch, policies=[policy])


@pytest.mark.parametrize("then", ["gate", "fail"])
@pytest.mark.parametrize(
    ("rule", "changes", "words"),
    [
        ({"changed_files": {"over": 1}}, [changed("a"), changed("b")], "2 files were changed, more than 1"),
        ({"deletions": {"over": 0}}, [specs.ChangedFile(path="a", status="D")], "1 file was deleted"),
        ({"deletions": {"over": 0}}, [changed("b", "a")], "1 file was deleted or moved"),
        (
            {"changed_lines": {"over": 9}},
            [specs.ChangedFile(path="a", status="M", additions=6, deletions=4)],
            "10 lines were changed",
        ),
        ({"dependencies": ...}, [changed("web/package.json")], "dependencies were changed: web/package.json"),
        ({"migrations": ...}, [changed("shop/migrations/0002_x.py")], "migrations were changed"),
        ({"paths": [{"patterns": ["infra"]}]}, [changed("infra/a.tf")], "guarded paths were changed: infra/a.tf"),
        ({"rules": ...}, [changed(".ropeway/repository.toml")], "the repository's own rules were changed"),
    ],
)
def test_each_rule_gates_or_fails_as_it_says(
    then: str, rule: dict[str, object], changes: list[specs.ChangedFile], words: str
) -> None:
    def said(value: object) -> object:
        if value is ...:
            return then
        if isinstance(value, dict):
            return {**value, "then": then}
        return [{**each, "then": then} for each in value]  # type: ignore[attr-defined]

    decision = judged({name: said(value) for name, value in rule.items()}, *changes)
    if then == "gate":
        assert isinstance(decision, rules.Gate)
        assert words in decision.reason
    else:
        assert isinstance(decision, rules.Fail)
        assert words in decision.detail


def test_a_count_at_its_threshold_is_allowed() -> None:
    assert judged({"changed_files": {"over": 2}}, changed("a"), changed("b")) == rules.Allow()


def test_without_a_policy_the_rules_themselves_are_still_guarded() -> None:
    decision = rules.changes_judge(task=task(), changes=[changed(".ropeway/x")], patch=b"")
    assert isinstance(decision, rules.Gate)


def test_no_policy_can_lower_what_another_asks() -> None:
    lax, strict = Policy(), Policy(secrets=Reaction.FAIL)
    secret = b"+ghp_" + b"a1" * 18
    decision = rules.changes_judge(task=task(), changes=[changed("a")], patch=secret, policies=[strict, lax])
    assert isinstance(decision, rules.Fail)


def test_a_tasks_own_policy_holds_besides_the_others() -> None:
    fenced = task(policy={"dependencies": "fail"})
    decision = rules.changes_judge(
        task=fenced, changes=[changed("go.sum")], patch=b"", policies=[Policy(dependencies=Reaction.GATE)]
    )
    assert isinstance(decision, rules.Fail)


def test_a_link_that_leads_out_is_named() -> None:
    decision = rules.changes_judge(
        task=task(), changes=[changed("a")], patch=b"", new_links=[Link(path="a", target="/etc/passwd")]
    )
    assert isinstance(decision, rules.Gate)
    assert "symbolic links lead out of the repository: a" in decision.reason


def test_the_strictest_word_wins_and_silence_says_nothing() -> None:
    assert rules.strictest([None, Reaction.GATE, Reaction.ALLOW]) is Reaction.GATE
    assert rules.strictest([None], default=Reaction.FAIL) is Reaction.FAIL
