"""What a home says of the daemon that began in it."""

import json
from pathlib import Path

import pytest

from local_daemon.client.address import Address, address_read
from local_daemon.config import home as homes

WRITTEN = {"pid": 7, "process_start": "12", "socket": "/s", "port": None, "version": "1"}


@pytest.mark.parametrize("port", [None, 8080])
def test_an_address_is_read_as_it_was_written(tmp_path: Path, port: int | None) -> None:
    home = homes.Home(root=tmp_path)
    home.address.write_text(json.dumps({**WRITTEN, "port": port}))
    assert address_read(home) == Address(pid=7, process_start="12", socket="/s", port=port)


def test_a_home_without_a_daemon_has_no_address(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path, tmp_path / "none", tmp_path / "file"):
        assert address_read(homes.Home(root=root)) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"socket": "/s"}', json.dumps({**WRITTEN, "pid": "x"}), "\udcff"])
def test_what_can_not_be_understood_is_no_address(tmp_path: Path, content: str) -> None:
    home = homes.Home(root=tmp_path)
    home.address.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert address_read(home) is None
