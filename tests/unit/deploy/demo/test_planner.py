"""The lines that a demo that is kept prints for a planner of one's own."""

import json
import shlex

from deploy.demo import planner

URL = "http://127.0.0.1:4321"


def test_calls_to_paste_are_words_of_a_shell_and_name_the_token_once() -> None:
    lines = planner.calls_of_ones_own(URL, token="rw_secret", project_id="the-project")
    assert [line for line in lines if "rw_secret" in line] == ["export ROPEWAY_TOKEN=rw_secret"]
    words = [shlex.split(line) for line in lines]
    assert [each[0] for each in words] == ["export", "curl", "curl", "claude"]
    assert words[1][-1] == f"{URL}/api/v2/projects"
    assert words[2][-1] == f"{URL}/api/v2/projects/the-project/runs"
    assert json.loads(words[2][words[2].index("-d") + 1])["objective"]
    assert "Authorization: Bearer $ROPEWAY_TOKEN" in words[3]
