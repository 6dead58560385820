"""What the demo shows in the end: everything to everybody, and secrets to nobody but a person."""

from pathlib import Path

import pytest

from deploy.demo import __main__ as demo
from deploy.demo import story
from deploy.demo.progress import Progress
from deploy.stack.local import LocalStack, Tenant

TENANT = Tenant(
    organization_id="o",
    project_id="p",
    project="demo",
    email="owner@acme.example",
    password="a-word",
    token="rw_secret",
)
EVIDENCE = story.Evidence(
    run={},
    result={
        "base_commit": "0" * 40,
        "head_commit": "1" * 40,
        "ref": "refs/ropeway/x",
        "evidence": {"digest": "2" * 64},
    },
    gate={"decided_by": "token:planner", "digest": "3" * 64},
    patch="",
    validations=[],
    artifacts=[],
)


@pytest.mark.parametrize("kept", [True, False])
def test_a_log_is_told_where_the_admin_is_and_no_secret(
    kept: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = LocalStack(tmp_path)
    demo.show(stack, TENANT, EVIDENCE, Progress(), kept=kept)
    shown = capsys.readouterr().out
    assert f"{stack.url}/admin/   {TENANT.email}" in shown
    assert [secret for secret in (TENANT.password, TENANT.token) if secret in shown] == []
