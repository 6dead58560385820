"""How commands answer: lines for people, or one JSON object for programs."""

import json
from typing import Any

import click


def facts_print(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print the facts; what is None is left out for people."""
    if as_json:
        click.echo(json.dumps(facts, default=str))
        return
    width = max(len(name) for name in facts) + 2
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name + ':':<{width}} {value}")
