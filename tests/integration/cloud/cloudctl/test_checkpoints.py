"""What was kept elsewhere of a chain, held against the chain that is there."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloud.audit import chain, signing
from cloud.cloudctl import main
from local_daemon.protocol import ids
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main.cloudctl, ["audit", *arguments], catch_exceptions=False)


@pytest.fixture
def kept(acme: Tenant, globex: Tenant, tmp_path: Path) -> Path:
    file = tmp_path / "checkpoints.jsonl"
    file.write_text(run("checkpoint").stdout)
    return file


def signed_anew(line: dict[str, Any], **changes: Any) -> str:
    """A checkpoint of the installation's own that says something else."""
    told = {**line, **changes}
    message = chain.checkpoint_message(
        organization_id=told["organization_id"], seq=told["seq"], link_hash=bytes.fromhex(told["hash"])
    )
    return json.dumps({**told, "signature": signing.sign(message).signature.hex()})


def faults(file: Path) -> list[str | None]:
    told = run("verify", "--checkpoints", str(file), "--json")
    report = json.loads(told.stdout)
    assert (told.exit_code == 0) is report["ok"]
    return [part["first_bad"] for part in report["organizations"]]


def test_chains_that_only_grew_hold(kept: Path) -> None:
    assert len(kept.read_text().splitlines()) == 2
    CliRunner().invoke(main.cloudctl, ["org", "update", "acme", "--name", "Acme Ltd"], catch_exceptions=False)
    assert faults(kept) == [None, None]


def test_a_chain_that_ends_earlier_or_was_written_anew_is_told(kept: Path) -> None:
    first, second = map(json.loads, kept.read_text().splitlines())
    kept.write_text("\n".join([signed_anew(first, seq=first["seq"] + 5), signed_anew(second, hash="1" * 64)]))
    longer, other = faults(kept)
    assert "this database is older than that" in str(longer)
    assert "written anew" in str(other)


def test_an_organization_that_is_gone_is_told(kept: Path) -> None:
    first = json.loads(kept.read_text().splitlines()[0])
    kept.write_text(signed_anew(first, organization_id=str(ids.new_uuid7())))
    assert "there is none" in str(faults(kept)[-1])


def test_what_this_installation_did_not_sign_is_refused(kept: Path) -> None:
    first = json.loads(kept.read_text().splitlines()[0])
    for line in (json.dumps({**first, "seq": 1, "hash": "0" * 64}), json.dumps({"seq": 1}), os.urandom(8).hex()):
        kept.write_text(line)
        told = run("verify", "--checkpoints", str(kept), "--json")
        assert (told.exit_code, json.loads(told.stderr)["code"]) == (2, "invalid_request")
