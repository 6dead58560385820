"""Which policies hold for what is submitted now: the operator's, and the repository's own.

Read at submission, outside of the record's transaction. A policy that can't be read refuses the submission: silently no
rule would be worse. Called by the handlers that submit steps.
Tests: tests/integration/daemon/test_uncommitted.py.
"""

from collections.abc import Sequence
from pathlib import Path

from local_daemon.config import repository_file
from local_daemon.operations.context import OperationContext
from local_daemon.policies import rules, sources
from local_daemon.protocol import errors
from local_daemon.protocol.policies import Policy, Reaction
from local_daemon.repositories import selectors as repositories
from local_daemon.worktrees import agreed, uncommitted


async def policies_held(
    context: OperationContext, repository_id: str, *, at_head: Sequence[Policy]
) -> tuple[Policy, ...]:
    """The policies that hold in the repository, the operator's first. `at_head` are those of the tasks that begin at
    what is checked out: what is not committed there may call for one policy more, which asks for a gate.
    Raises NotFound, InvalidRequest, PreconditionFailed."""
    root = context.database.read(lambda conn: repositories.repository_get(conn, repository_id)).toplevel
    try:
        home = context.home
        written = await agreed.file_read(root, trusted_root=None if home is None else home.trusted)
        own = None if written is None else sources.policy_parse(written)
    except (repository_file.RepositoryFileInvalid, sources.PolicyInvalid) as error:
        raise errors.InvalidRequest(f"the repository's policy is not valid: {error}") from error
    held = tuple(policy for policy in (context.operator_policy, own) if policy is not None and policy != Policy())
    reaction = rules.strictest([policy.uncommitted for policy in (*held, *at_head)])
    is_gated = bool(at_head) and reaction is not Reaction.ALLOW and await _uncommitted_judge(context, root, reaction)
    return (*held, Policy(start=Reaction.GATE)) if is_gated else held


async def _uncommitted_judge(context: OperationContext, root: Path, reaction: Reaction) -> bool:
    """Whether the checkout holds what a commit should; then, under a rule that refuses, raises PreconditionFailed."""
    found = await uncommitted.uncommitted_in(root, trusted_root=context.trusted_root)
    if found is None or found.total == 0:
        return False
    if reaction is Reaction.FAIL:
        raise errors.PreconditionFailed(
            f"The checkout holds {found.total} changes that are not committed, and a policy lets no work begin beside "
            "them; commit or put them away, or name a base.",
            changed=found.changed,
            untracked=found.untracked,
        )
    return True
