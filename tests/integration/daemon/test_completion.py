"""Shell completion: the scripts, and what they are answered with."""

import shutil
import subprocess

import pytest

from tests.integration.daemon.shell import Operator


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(newcomer: Operator, shell: str) -> None:
    said = newcomer.say("completion", shell)
    assert said.code == 0, said
    assert "_ROPEWAY_COMPLETE" in said.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=said.out, text=True, check=True)


def test_the_operators_own_shell_is_the_default(newcomer: Operator) -> None:
    newcomer.more_env["SHELL"] = "/bin/zsh"
    assert newcomer.say("completion").out == newcomer.say("completion", "zsh").out
    newcomer.more_env["SHELL"] = "/bin/tcsh"
    assert newcomer.say("completion").code == 30


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("ropeway wa", "watch"), ("ropeway step re", "retry"), ("ropeway submit --exe", "--executor")],
)
def test_a_shell_is_answered_with_what_fits(newcomer: Operator, words: str, wanted: str) -> None:
    newcomer.more_env.update(_ROPEWAY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    assert wanted in newcomer.say().out
    assert not newcomer.home.exists()
