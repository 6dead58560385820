"""Which policies hold for what is submitted now: the operator's, and the repository's own.

Read at submission, outside of the record's transaction. A policy that can't be read refuses the submission: silently no
rule would be worse. Called by the handlers that submit steps. Tests: tests/unit/daemon/operations/test_rules.py.
"""

from pathlib import Path

from local_daemon.config import repository_file
from local_daemon.operations.context import OperationContext
from local_daemon.policies import sources
from local_daemon.protocol import errors
from local_daemon.protocol.policies import Policy
from local_daemon.repositories import selectors as repositories
from local_daemon.worktrees import git


async def policies_held(context: OperationContext, repository_id: str) -> tuple[Policy, ...]:
    """The policies that hold in the repository, the operator's first. Raises NotFound, InvalidRequest."""
    root = context.database.read(lambda conn: repositories.repository_get(conn, repository_id)).toplevel
    try:
        own = await _policy_committed(root) if _is_bare(root) else sources.policy_read(root)
    except sources.PolicyInvalid as error:
        raise errors.InvalidRequest(f"the repository's policy is not valid: {error}") from error
    held = (context.operator_policy, own)
    return tuple(policy for policy in held if policy is not None and policy != Policy())


def _is_bare(root: Path) -> bool:
    return (root / "HEAD").is_file() and (root / "objects").is_dir()


async def _policy_committed(root: Path) -> Policy | None:
    """Of a bare repository, which has no files: the policy on its default branch."""
    place = git.GitPlace(directory=root)
    name = f"HEAD:{repository_file.PLACE.as_posix()}"
    try:
        found = await git.git(
            place, "cat-file", "blob", name, accepted=(0, 128), max_output_bytes=sources.FILE_BYTES_MAX + 1
        )
    except git.GitFailed as error:
        raise sources.PolicyInvalid(str(error)) from error
    return sources.policy_parse(found.stdout) if found.exit_code == 0 else None
