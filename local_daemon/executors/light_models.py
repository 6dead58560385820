"""Import a library of pydantic models without building them all: each is built when it is first used.

For a process that lives for one attempt and uses a dozen of the several hundred models of a protocol's library. It
sees to nothing but what `ConfigDict` says of models defined meanwhile: a library that names it otherwise is imported as
slowly as ever, and works the same. Deliberately not for the daemon. Called by `acp_client`.
Tests: tests/unit/daemon/executors/test_light_models.py.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import pydantic


@contextlib.contextmanager
def models_lightened() -> Iterator[None]:
    """Whatever library is imported within defers its models, and does not read its own source for their docstrings."""
    config = pydantic.ConfigDict

    def lightened(**settings: Any) -> pydantic.ConfigDict:
        return config(**{**settings, "defer_build": True, "use_attribute_docstrings": False})

    pydantic.ConfigDict = lightened  # type: ignore[misc,assignment]
    try:
        yield
    finally:
        pydantic.ConfigDict = config  # type: ignore[misc]
