"""How the demo prints: plain lines for a log or a grep, and what holds a secret to a terminal only."""

import contextlib
import os
import pty

import pytest

from deploy.demo.progress import Progress

DIGEST = "3a542ddf753213f6c345a4f833a4bd1355a13f76b1a9d254707094b309a6c665"
PATCH = f"""\
diff --git a/a b/a
index {DIGEST[:40]}..{DIGEST[:40]} 100644
--- a/a
+++ b/a
@@ -1 +1 @@
-[bold]:x:[/bold]
+{"a long line of text " * 10}
"""


def test_without_a_terminal_a_patch_is_printed_line_for_line(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().patch(PATCH)
    shown = capsys.readouterr().out
    assert [line.removeprefix("  ") for line in shown.splitlines()[1:]] == PATCH.splitlines()


def test_without_a_terminal_a_table_is_columns_and_no_digest_is_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().table(
        "Artifacts", ["artifact", "bytes", "sha256"], [["changes.patch", "408", DIGEST], ["e", "1", DIGEST]]
    )
    shown = capsys.readouterr().out
    assert [line.split() for line in shown.splitlines()] == [
        ["artifacts"],
        ["artifact", "bytes", "sha256"],
        ["changes.patch", "408", DIGEST],
        ["e", "1", DIGEST],
    ]
    assert shown.isascii()


def test_a_line_is_said_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().say(f"  [head]  {DIGEST} {DIGEST} :warning:")
    assert capsys.readouterr().out == f"  [head]  {DIGEST} {DIGEST} :warning:\n"


@pytest.mark.parametrize("believed", [None, "FORCE_COLOR", "TTY_COMPATIBLE"])
def test_what_holds_a_secret_is_said_to_a_terminal_only(
    believed: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if believed:
        monkeypatch.setenv(believed, "1")
    Progress().say_in_person("export ROPEWAY_TOKEN=rw_secret")
    assert capsys.readouterr().out == ""
    ours, theirs = pty.openpty()
    with open(theirs, "w") as terminal, contextlib.redirect_stdout(terminal):
        Progress().say_in_person("export ROPEWAY_TOKEN=rw_secret")
    assert os.read(ours, 4096).decode().split() == ["export", "ROPEWAY_TOKEN=rw_secret"]
    os.close(ours)
