from pathlib import Path

import pytest

from local_daemon.config.home import Home
from local_daemon.identity import keys, places
from local_daemon.identity.places import Place


@pytest.mark.parametrize(
    ("here", "recorded", "elsewhere"),
    [
        (Place(machine="a", inode=1), Place(machine="a", inode=1), False),
        (Place(machine="a", inode=2), Place(machine="a", inode=1), True),
        (Place(machine="b", inode=1), Place(machine="a", inode=1), True),
        (Place(machine=None, inode=1), Place(machine="a", inode=1), False),
        (Place(machine="a", inode=1), Place(machine=None, inode=1), False),
        (Place(machine=None, inode=2), Place(machine=None, inode=1), True),
    ],
)
def test_another_machine_or_directory_is_elsewhere(here: Place, recorded: Place, elsewhere: bool) -> None:
    assert here.is_elsewhere(recorded) is elsewhere


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"machine": 1, "inode": "x"}'])
def test_a_home_whose_place_is_not_known_belongs_where_it_is(tmp_path: Path, content: str | None) -> None:
    home = Home(root=tmp_path)
    if content is not None:
        home.place.write_text(content)
    places.place_check(home)
    places.place_record(home)
    places.place_check(home)


def test_the_machines_id_itself_is_not_written_down(tmp_path: Path) -> None:
    home = Home(root=tmp_path)
    places.place_record(home)
    machine_id = Path("/etc/machine-id")
    if machine_id.exists() and (text := machine_id.read_text().strip()):
        assert text not in home.place.read_text()


def test_a_renewed_identity_remembers_the_keys_before(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    first = keys.identity_ensure(path)
    second = keys.identity_renew(path)
    third = keys.identity_renew(path)
    assert third.former_public_keys == (first.public_key, second.public_key)
    assert len({first.instance_id, second.instance_id, third.instance_id}) == 3
