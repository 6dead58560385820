"""Where a repository's own policy stands: the `[policy]` table of its file. An unknown key is an error.

Read from the operator's checkout when a step is submitted, and kept with it, so that nothing an executor writes changes
what it is judged by. Called by operation handlers. Tests: tests/unit/daemon/policies/test_sources.py.
"""

from pydantic import ValidationError

from local_daemon.config import repository_file
from local_daemon.protocol import faults
from local_daemon.protocol.policies import Policy


class PolicyInvalid(Exception):
    """The repository's policy can't be read, and without it nothing is judged; correct the file and submit again."""


def policy_parse(content: bytes) -> Policy | None:
    """The policy in the text of such a file; None where there is none. Raises PolicyInvalid."""
    try:
        written = repository_file.tables_parse(content).get("policy")
        return None if written is None else Policy.model_validate(written)
    except repository_file.RepositoryFileInvalid as error:
        raise PolicyInvalid(str(error)) from error
    except ValidationError as error:
        found = "; ".join(f"policy.{item['field']}: {item['problem']}" for item in faults.field_faults(error))
        raise PolicyInvalid(f"{repository_file.PLACE}: {found}") from error
