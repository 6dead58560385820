"""`ropeway identity …`: who this home's daemon is, and what to say when the home came from another place.

Works without a daemon, and changes nothing while one runs. Tests: tests/integration/daemon/test_copied_home.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from local_daemon.cli import options
from local_daemon.config import home as homes
from local_daemon.identity import keys, places
from local_daemon.protocol import errors


@click.group()
def identity() -> None:
    """Who this home's daemon is."""


@identity.command("show")
@options.json_option
@click.pass_obj
def identity_show(home: homes.Home, *, as_json: bool) -> None:
    """Show the daemon's id and public key, and whether this home is a copy."""
    _shown(home, _known(home), as_json=as_json)


@identity.command("renew")
@options.json_option
@click.pass_obj
def identity_renew(home: homes.Home, *, as_json: bool) -> None:
    """Give a copied home an id, a key and a token of its own.

    What the former key signed still verifies. A connector has to enroll again."""
    _known(home)
    with _alone(home):
        renewed = keys.identity_renew(home.identity)
        home.token.unlink(missing_ok=True)
        keys.token_ensure(home.token)
        places.place_record(home)
    _shown(home, renewed, as_json=as_json)


@identity.command("keep")
@options.json_option
@click.pass_obj
def identity_keep(home: homes.Home, *, as_json: bool) -> None:
    """Say that this home was moved or restored, and that the place it came from is gone."""
    kept = _known(home)
    with _alone(home):
        places.place_record(home)
    _shown(home, kept, as_json=as_json)


@contextmanager
def _alone(home: homes.Home) -> Iterator[None]:
    try:
        with homes.run_lock(home):
            yield
    except homes.HomeInUse as error:
        raise errors.InvalidTransition("A daemon runs in this home; stop it first.") from error


def _known(home: homes.Home) -> keys.Identity:
    if not home.identity.exists():
        raise errors.NotFound("There is no identity in this home yet.")
    try:
        return keys.identity_ensure(home.identity)
    except keys.IdentityDamaged as error:
        raise click.ClickException(errors.said(error)) from error


def _shown(home: homes.Home, known: keys.Identity, *, as_json: bool) -> None:
    document = {"instance_id": known.instance_id, "public_key": known.public_key, "is_copied": False}
    lines = [f"{known.instance_id}  Ed25519 {known.public_key}"]
    try:
        places.place_check(home)
    except places.HomeCopied as error:
        document["is_copied"] = True
        lines.append(errors.said(error))
    options.show(document, as_json=as_json, lines=lines)
