"""Where a repository's own policy stands: the `[policy]` table of its committed file. An unknown key is an error.

Read when a step is submitted and kept with it, so that nothing an executor writes changes what it is judged by.
Called by operation handlers. Tests: tests/unit/daemon/policies/test_sources.py.
"""

from pathlib import Path

from pydantic import ValidationError

from local_daemon.config import repository_file
from local_daemon.protocol import envelopes
from local_daemon.protocol.policies import Policy

FILE_BYTES_MAX = 256 * 1024


class PolicyInvalid(Exception):
    """The repository's policy can't be read, and without it nothing is judged; correct the file and submit again."""


def policy_read(root: Path) -> Policy | None:
    """The policy in the folder's file; None where there is no file or no policy in it. Raises PolicyInvalid."""
    try:
        with (root / repository_file.PLACE).open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise PolicyInvalid(f"{repository_file.PLACE}: {error.strerror}") from error
    return policy_parse(content)


def policy_parse(content: bytes) -> Policy | None:
    """The policy in the text of such a file; None where there is none. Raises PolicyInvalid."""
    if len(content) > FILE_BYTES_MAX:
        raise PolicyInvalid(f"{repository_file.PLACE}: longer than {FILE_BYTES_MAX} bytes")
    try:
        written = repository_file.tables_parse(content).get("policy")
        return None if written is None else Policy.model_validate(written)
    except repository_file.RepositoryFileInvalid as error:
        raise PolicyInvalid(str(error)) from error
    except ValidationError as error:
        found = "; ".join(f"policy.{item['field']}: {item['problem']}" for item in envelopes.readable_errors(error))
        raise PolicyInvalid(f"{repository_file.PLACE}: {found}") from error
