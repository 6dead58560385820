"""`cloudctl completion`: what makes a shell complete commands and options.

Tests: tests/integration/cloud/cloudctl/test_usage.py.
"""

import os
from pathlib import Path

import click
from click import shell_completion

_SHELLS = ("bash", "zsh", "fish")
_WHERE_TO = """\b
bash: cloudctl completion bash > ~/.local/share/bash-completion/completions/cloudctl
zsh:  cloudctl completion zsh > "${fpath[1]}/_cloudctl"
fish: cloudctl completion fish > ~/.config/fish/completions/cloudctl.fish"""


@click.command(epilog=_WHERE_TO)
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print the script that completes `cloudctl` in SHELL (default: yours)."""
    name = shell or Path(os.environ.get("SHELL", "")).name
    found = shell_completion.get_completion_class(name) if name in _SHELLS else None
    if found is None:
        raise click.UsageError(f"Say for which shell: {', '.join(_SHELLS)}.")
    click.echo(found(context.find_root().command, {}, "cloudctl", "_CLOUDCTL_COMPLETE").source())
