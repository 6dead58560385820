"""A repository is known once, by where it begins, and its place stays on the machine."""

import pytest

from local_daemon.protocol import errors, events
from local_daemon.repositories import selectors
from local_daemon.storage import event_log
from tests.record import Record


def test_the_same_folder_is_registered_once(record: Record) -> None:
    one, again, other = record.repository("/a"), record.repository("/a"), record.repository("/b")
    assert one == again
    assert selectors.repositories_list(record.connection) == (one, other)


def test_a_new_repository_has_an_empty_log_of_its_own(record: Record) -> None:
    head = event_log.log_head(record.connection, record.repository().repository_id)
    assert (head.head_seq, head.head_hash) == (0, events.GENESIS_HASH)


def test_no_view_says_where_it_lies(record: Record) -> None:
    repository = record.repository("/home/somebody/project")
    head = event_log.log_head(record.connection, repository.repository_id)
    assert "somebody" not in selectors.repository_view(repository, head=head).model_dump_json()


def test_an_unknown_repository_is_not_found(record: Record) -> None:
    with pytest.raises(errors.NotFound):
        selectors.repository_get(record.connection, "repo_unknown")
