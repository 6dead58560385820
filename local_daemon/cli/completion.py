"""`ropeway completion`: what makes a shell complete commands and options.

Tests: tests/integration/daemon/test_completion.py.
"""

import os
from pathlib import Path

import click
from click import shell_completion

_SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_ROPEWAY_COMPLETE"
_WHERE_TO = """\b
bash: ropeway completion bash > ~/.local/share/bash-completion/completions/ropeway
zsh:  ropeway completion zsh > "${fpath[1]}/_ropeway"
fish: ropeway completion fish > ~/.config/fish/completions/ropeway.fish"""


@click.command(epilog=_WHERE_TO)
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print the script that completes `ropeway` in SHELL (default: yours)."""
    name = shell or Path(os.environ.get("SHELL", "")).name
    found = shell_completion.get_completion_class(name) if name in _SHELLS else None
    if found is None:
        raise click.UsageError(f"Say for which shell: {', '.join(_SHELLS)}.")
    click.echo(found(context.find_root().command, {}, "ropeway", _VARIABLE).source())
