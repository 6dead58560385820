from datetime import UTC, datetime

import pytest

from local_daemon.cli import step_record
from local_daemon.protocol import applications, states


@pytest.mark.parametrize(("state", "shown"), [("applied", "  applied at 64f60"), ("refused", "  refused: it moved")])
def test_an_application_that_was_refused_names_no_commit_as_reached(state: str, shown: str) -> None:
    view = applications.ApplicationView(
        application_id="app_x",
        step_id="step_x",
        attempt_id="att_x",
        state=states.ApplicationState(state),
        mode="cherry_pick",
        branch="main",
        digest="d",
        after_commit="64f60",
        reason="it moved" if state == "refused" else "",
        requested_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    assert step_record._application_line(view).endswith(shown)
