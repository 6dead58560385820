"""Cleaning logs: no directory of the machine and no known secret is left, wherever it falls."""

import errno
import shutil
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.processes import capture, secrecy

ROOT = Path("/home/ada/.local/ropeway/worktrees/att_1")
HOME = Path("/home/ada")
SECRET = "sk-live-0123456789"


@pytest.fixture
def clean(tmp_path, monkeypatch):
    def clean(content: bytes, *, chunk_bytes: int = 1024, secrets: dict[str, str] | None = None) -> bytes:
        monkeypatch.setattr(capture, "_CHUNK_BYTES", chunk_bytes)
        (tmp_path / "raw").write_bytes(content)
        written = capture.clean_log(
            tmp_path / "raw",
            tmp_path / "clean",
            worktree_root=ROOT,
            home=HOME,
            secrets={"OPENAI_API_KEY": SECRET} if secrets is None else secrets,
        )
        cleaned = (tmp_path / "clean").read_bytes()
        assert written == len(cleaned)
        return cleaned

    return clean


def test_directories_and_secrets_are_replaced(clean):
    log = f"wrote {ROOT}/src/a.py\nread {HOME}/.config/x, {HOME}\nkey={SECRET}\n".encode()
    assert clean(log) == b"wrote ./src/a.py\nread ~/.config/x, ~\nkey=[redacted:OPENAI_API_KEY]\n"


def test_another_users_home_with_the_same_beginning_stays(clean):
    assert clean(b"/home/adalbert/x /home/ada/x") == b"/home/adalbert/x ~/x"


def test_colours_and_json_escapes_hide_nothing(clean):
    log = f"\x1b[31m{ROOT}/a\x1b[0m \\n{ROOT}/b ".encode() + str(ROOT).replace("/", "\\/").encode() + b"\\/c"
    assert clean(log) == b"\x1b[31m./a\x1b[0m \\n./b .\\/c"


def test_a_secret_of_several_lines_is_found_in_a_json_log_too(clean):
    key = "-----BEGIN KEY-----\nabc\n-----END KEY-----"
    cleaned = clean(f"{key}|".encode() + key.replace("\n", "\\n").encode(), secrets={"KEY": key})
    assert cleaned == b"[redacted:KEY]|[redacted:KEY]"


def test_a_value_too_short_to_be_a_secret_does_not_shred_the_log(clean):
    assert clean(b"trace=1 level=1", secrets={"DEBUG": "1"}) == b"trace=1 level=1"


EVERYDAY = ("true", "3000", "dev", "localhost", "postgres", "production", "http://localhost:3000")


@pytest.mark.parametrize("value", EVERYDAY)
def test_a_secret_that_is_an_everyday_word_leaves_the_log_readable(clean, value):
    log = f"listening on {value}\n{value}.app /{value}/x host={value} {value}"
    assert clean(log.encode(), secrets={"DB_PASSWORD": value}) == log.encode()


@pytest.mark.parametrize(
    ("log", "cleaned"),
    [
        ("DB_PASSWORD=postgres\n", "DB_PASSWORD=[redacted:DB_PASSWORD]\n"),
        ("export DB_PASSWORD='postgres'", "export DB_PASSWORD='[redacted:DB_PASSWORD]'"),
        ("DB_PASSWORD: postgres", "DB_PASSWORD: [redacted:DB_PASSWORD]"),
        ('{"DB_PASSWORD":"postgres"}', '{"DB_PASSWORD":"[redacted:DB_PASSWORD]"}'),
        ('"{\\"DB_PASSWORD\\": \\"postgres\\"}"', '"{\\"DB_PASSWORD\\": \\"[redacted:DB_PASSWORD]\\"}"'),
        ("{'DB_PASSWORD': 'postgres'}", "{'DB_PASSWORD': '[redacted:DB_PASSWORD]'}"),
        ("postgres://postgres:postgres@db/x", "postgres://postgres:[redacted:DB_PASSWORD]@db/x"),
        ("DB_PASSWORD = postgres\n", "DB_PASSWORD = [redacted:DB_PASSWORD]\n"),
        ("'DB_PASSWORD' => 'postgres'", "'DB_PASSWORD' => '[redacted:DB_PASSWORD]'"),
        ("DB_PASSWORD=>postgres", "DB_PASSWORD=>[redacted:DB_PASSWORD]"),
        ("DB_PASSWORD is set: DB_PASSWORD=postgres.", "DB_PASSWORD is set: DB_PASSWORD=[redacted:DB_PASSWORD]."),
        ("| DB_PASSWORD | postgres|", "| DB_PASSWORD | [redacted:DB_PASSWORD]|"),
        ("DB_PASSWORD=`postgres`", "DB_PASSWORD=`[redacted:DB_PASSWORD]`"),
        ("`DB_PASSWORD=postgres`", "`DB_PASSWORD=[redacted:DB_PASSWORD]`"),
        ("DB_PASSWORD=postgres<br>", "DB_PASSWORD=[redacted:DB_PASSWORD]<br>"),
        ("db_password=postgres: refused", "db_password=[redacted:DB_PASSWORD]: refused"),
        ("--db-password postgres\n", "--db-password [redacted:DB_PASSWORD]\n"),
        ("Server=db;Password=postgres;", "Server=db;Password=[redacted:DB_PASSWORD];"),
        ("password: postgres", "password: [redacted:DB_PASSWORD]"),
        ("DB_PASSWORD=postgresql", "DB_PASSWORD=[redacted:a password or key]"),
        ("DB_PASSWORD=postgres.example", "DB_PASSWORD=postgres.example"),
        ("no DB_PASSWORD in postgres\n", "no DB_PASSWORD in postgres\n"),
        ("DB_PASSWORD=\npostgres", "DB_PASSWORD=\npostgres"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 7, 1024])
def test_a_secret_that_is_an_everyday_word_is_replaced_where_it_stands_for_itself(clean, log, cleaned, chunk_bytes):
    assert clean(log.encode(), secrets={"DB_PASSWORD": "postgres"}, chunk_bytes=chunk_bytes) == cleaned.encode()


def test_a_password_that_stands_in_a_secret_is_one_by_itself(clean):
    secrets = {"PROXY": "http://me:sword%40fish@proxy:8080", "SQL": "Server=db;Password=Tiger123;"}
    log = b"sword%40fish sword@fish Tiger123 http://me:sword%40fish@proxy:8080"
    assert clean(log, secrets=secrets) == (
        b"[redacted:PROXY password] [redacted:PROXY password] [redacted:SQL password] [redacted:PROXY]"
    )


def test_a_key_that_is_a_part_of_an_address_is_a_secret_by_itself(clean):
    secrets = {"HOOK": "https://hooks.example.com/services/T01/a0B1c2D3e4F5g6H7i8J9"}
    log = b'"POST /services/T01/a0B1c2D3e4F5g6H7i8J9 HTTP/1.1" 200 https://hooks.example.com/services/T01/ services'
    assert clean(log, secrets=secrets) == (
        b'"POST /services/T01/[redacted:HOOK key] HTTP/1.1" 200 https://hooks.example.com/services/T01/ services'
    )


@pytest.mark.parametrize("value", ["x9!Kq", "1", "'", "=-", "a b", "ä"])
@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 5, 1024])
def test_a_short_secret_is_replaced_beside_its_name(clean, value, chunk_bytes):
    log = f"DB_PASSWORD={value}\n{value} DB_PASSWORD: {value}\n"
    cleaned = f"DB_PASSWORD=[redacted:DB_PASSWORD]\n{value} DB_PASSWORD: [redacted:DB_PASSWORD]\n"
    assert clean(log.encode(), secrets={"DB_PASSWORD": value}, chunk_bytes=chunk_bytes) == cleaned.encode()


def test_of_a_short_secret_a_line_can_be_read_as_soon_as_it_is_there_but_none_of_its_value(tmp_path):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    known = capture.Known(worktree_root=ROOT, home=HOME, secrets={"DB_PASSWORD": "x9!Kq"})
    captured = capture.Capture(raw, clean, known=lambda: known)
    log = b"DB_PASSWORD=x9!Kq\nno DB_PASSWORD is wrong\n"
    seen = []
    for end in range(1, len(log) + 1):
        raw.write_bytes(log[:end])
        seen.append(captured.read(offset=0, length=9000).content)
    redacted = b"DB_PASSWORD=[redacted:DB_PASSWORD]"
    assert set(seen[:17]) == {b""}
    assert seen[17] == redacted + b"\n"
    assert seen[-1] == redacted + b"\nno DB_PASSWORD is wrong\n"


def test_a_secret_that_begins_with_another_one_is_replaced_whole(clean):
    secrets = {"TOKEN": "dev", "TOKEN 2": "dev/0123456789abcdef"}
    assert clean(b"TOKEN=dev TOKEN=dev/0123456789abcdef", secrets=secrets) == (
        b"TOKEN=[redacted:TOKEN] TOKEN=[redacted:TOKEN 2]"
    )


@given(
    secrets=st.dictionaries(
        st.sampled_from(["A_KEY", "B_TOKEN", "C_PASSWORD"]),
        st.text(st.characters(codec="ascii"), min_size=6),
        min_size=1,
    ),
    between=st.text(st.sampled_from("ab /=:\n"), max_size=8),
)
def test_no_secret_that_can_be_told_from_a_word_is_left_wherever_it_stands(tmp_path_factory, secrets, between):
    folder = tmp_path_factory.mktemp("log")
    told = {name: value for name, value in secrets.items() if not secrecy.is_everyday(value)}
    (folder / "raw").write_text(between.join([*told.values(), *told.values()]), newline="")
    capture.clean_log(folder / "raw", folder / "clean", worktree_root=ROOT, home=HOME, secrets=secrets)
    left = (folder / "clean").read_text()
    for name in told:
        left = left.replace(f"[redacted:{name}]", "")
    assert not any(value in left for value in told.values() if len(value) > len(between) + 1)


def test_bytes_that_are_no_text_pass_unchanged(clean):
    assert clean(bytes(range(256)) * 20) == bytes(range(256)) * 20


@pytest.mark.parametrize("chunk_bytes", range(1, 90))
def test_what_falls_between_two_reads_is_found(clean, chunk_bytes):
    log = f"--{ROOT}/x{SECRET}{HOME}x{HOME}/{SECRET}{ROOT}".encode()
    expected = f"--./x[redacted:OPENAI_API_KEY]{HOME}x~/[redacted:OPENAI_API_KEY].".encode()
    assert clean(log, chunk_bytes=chunk_bytes) == expected


PIECES = st.sampled_from([str(ROOT), str(HOME), SECRET, SECRET[:9], str(ROOT)[:20], "/", "x", "\n", "-"])


@given(pieces=st.lists(PIECES, max_size=12), chunk_bytes=st.integers(1, 200))
def test_the_size_of_the_reads_makes_no_difference(tmp_path_factory, pieces, chunk_bytes):
    folder = tmp_path_factory.mktemp("log")
    (folder / "raw").write_text("".join(pieces))
    results = []
    for size in (chunk_bytes, 1_000_000):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(capture, "_CHUNK_BYTES", size)
            capture.clean_log(folder / "raw", folder / "clean", worktree_root=ROOT, home=HOME, secrets={"KEY": SECRET})
        results.append((folder / "clean").read_bytes())
    assert results[0] == results[1]
    assert SECRET.encode() not in results[0]


SHORT_PIECES = st.sampled_from(
    ["DB_PASSWORD", "password", "=", ": ", '\\"', "'", "x9", "x", "9-y", ".", "\n", "a", "@"]
)


@given(pieces=st.lists(SHORT_PIECES, max_size=12), chunk_bytes=st.integers(1, 30))
def test_the_size_of_the_reads_makes_no_difference_for_short_secrets(tmp_path_factory, pieces, chunk_bytes):
    folder = tmp_path_factory.mktemp("log")
    (folder / "raw").write_text("".join(pieces))
    results = []
    secrets = {"DB_PASSWORD": "x9", "DB_PASSWORD 2": "=x", "DB_PASSWORD 3": "x9-y9-x"}
    for size in (chunk_bytes, 1_000_000):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(capture, "_CHUNK_BYTES", size)
            capture.clean_log(folder / "raw", folder / "clean", worktree_root=ROOT, home=HOME, secrets=secrets)
        results.append((folder / "clean").read_bytes())
    assert results[0] == results[1]


@given(pieces=st.lists(PIECES, max_size=12), cuts=st.lists(st.integers(0, 500), max_size=6))
def test_what_is_read_while_it_is_written_is_how_the_finished_log_begins(tmp_path_factory, pieces, cuts):
    folder = tmp_path_factory.mktemp("log")
    content, seen = "".join(pieces).encode(), b""
    known = capture.Known(
        worktree_root=ROOT, home=HOME, secrets={"KEY": SECRET}, directories={"daemon": ROOT.parent, "s": Path("/x")}
    )
    captured = capture.Capture(folder / "raw", folder / "clean", known=lambda: known)
    for end in sorted(cuts):
        (folder / "raw").write_bytes(content[:end])
        piece = captured.read(offset=0, length=9000).content
        assert piece.startswith(seen)
        seen = piece
        assert SECRET.encode() not in seen
    (folder / "raw").write_bytes(content)
    captured.finish()
    finished = (folder / "clean").read_bytes()
    assert finished.startswith(seen)
    capture.clean_log(
        folder / "raw", folder / "at once", worktree_root=ROOT, home=HOME, secrets=known.secrets,
        directories=known.directories,
    )  # fmt: skip
    assert finished == (folder / "at once").read_bytes()


def test_a_line_can_be_read_as_soon_as_it_is_there_but_not_half_a_secret(tmp_path):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    known = capture.Known(worktree_root=ROOT, home=HOME, secrets={"KEY": SECRET})
    captured = capture.Capture(raw, clean, known=lambda: known)
    raw.write_bytes(b"one line\nkey=" + SECRET[:9].encode())
    assert captured.take() == len("one line\nkey=")
    raw.write_bytes(b"one line\nkey=" + SECRET.encode())
    assert captured.read(offset=0, length=9000).content == b"one line\nkey=[redacted:KEY]"


def test_a_secret_that_is_replaced_meanwhile_stays_one_and_the_new_one_is_one(tmp_path):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    secrets = {"KEY": SECRET}
    captured = capture.Capture(
        raw, clean, known=lambda: capture.Known(worktree_root=ROOT, home=HOME, secrets=dict(secrets))
    )
    captured.remember()
    secrets["KEY"] = "another-key"
    raw.write_bytes(f"{SECRET} another-key".encode())
    captured.finish()
    assert clean.read_bytes() == b"[redacted:KEY] [redacted:KEY]"


def followed(read, offset, *, length):
    """All that can be read from there, and where it ends."""
    content = b""
    while True:
        piece = read(offset=offset, length=length)
        if piece.next_offset == offset:
            return content, offset
        content, offset = content + piece.content, piece.next_offset


@given(pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=30), length=st.integers(1, 300))
def test_a_follower_that_keeps_up_reads_all_of_an_output_however_long(tmp_path_factory, pieces, length):
    raw, clean = tmp_path_factory.mktemp("log") / "raw", tmp_path_factory.mktemp("log") / "clean"
    known = capture.Known(worktree_root=Path("/nowhere/else"), home=None, secrets={})
    captured = capture.Capture(raw, clean, known=lambda: known, bytes_max=1000)
    seen, offset = b"", 0
    raw.touch()
    for piece in pieces:
        with open(raw, "ab") as file:
            file.write(piece)
        content, offset = followed(captured.read, offset, length=length)
        seen += content
    captured.finish()
    seen += followed(captured.read, offset, length=length)[0]
    assert seen == b"".join(pieces)


@given(size=st.integers(0, 3000), length=st.integers(1, 300))
def test_a_finished_log_is_read_as_it_stands_by_the_places_that_its_bytes_had(tmp_path_factory, size, length):
    raw, clean = tmp_path_factory.mktemp("log") / "raw", tmp_path_factory.mktemp("log") / "clean"
    raw.write_bytes(bytes(index % 251 for index in range(size)))
    capture.clean_log(raw, clean, worktree_root=ROOT, home=HOME, secrets={}, bytes_max=1000)
    kept = clean.stat().st_size
    with open(clean, "rb") as log:
        content, end = followed(partial(capture.log_piece, log, kept, bytes_max=1000), 0, length=length)
        last = capture.log_piece(log, kept, offset=max(0, size - 200), length=200, bytes_max=1000)
    assert (content, end) == (clean.read_bytes(), size)
    assert last.content == raw.read_bytes()[-200:]


def test_a_follower_that_fell_behind_is_told_how_much_it_missed_and_goes_on(tmp_path):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    known = capture.Known(worktree_root=ROOT, home=HOME, secrets={})
    captured = capture.Capture(raw, clean, known=lambda: known, bytes_max=1000)
    raw.write_bytes(b"." * 800)
    assert followed(captured.read, 0, length=100) == (b"." * 800, 800)
    raw.write_bytes(b"." * 4_000_000 + b"the end")
    content, end = followed(captured.read, 800, length=1_000_000)
    missed = int(content[2:].split()[0])
    assert content.startswith(b"\n[%d of 4000007 bytes left out here]\n" % missed)
    assert content.endswith(b"the end")
    assert 800 + missed + len(content.partition(b"]\n")[2]) == end == 4_000_007
    captured.finish()
    assert followed(captured.read, 800, length=9000)[0].startswith(b"\n[3998957 of 4000007 bytes left out here]\n.")


def test_what_only_looks_as_if_bytes_were_left_out_is_read_as_it_stands(tmp_path):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    raw.write_bytes(b"a" * 750 + b"\n[9 of 999 bytes left out here]\n" + b"b" * 100)
    kept = capture.clean_log(raw, clean, worktree_root=ROOT, home=HOME, secrets={}, bytes_max=1000)
    with open(clean, "rb") as log:
        assert capture.log_piece(log, kept, offset=0, length=9000, bytes_max=1000).content == raw.read_bytes()


def test_of_a_long_output_head_and_tail_are_kept_and_the_rest_is_counted(tmp_path):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    raw.write_bytes(b"first\n" + b"x" * 5_000_000 + b"\nlast")
    written = capture.clean_log(raw, clean, worktree_root=ROOT, home=HOME, secrets={}, bytes_max=1000)
    content = clean.read_bytes()
    assert len(content) == written < 1100
    assert content.startswith(b"first\n")
    assert content.endswith(b"\nlast")
    assert b"\n[4999011 of 5000011 bytes left out here]\n" in content


def test_an_output_of_just_the_limit_is_kept_as_it_is(tmp_path):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    raw.write_bytes(b"y" * 1000)
    assert capture.clean_log(raw, clean, worktree_root=ROOT, home=HOME, secrets={}, bytes_max=1000) == 1000
    assert clean.read_bytes() == raw.read_bytes()


def test_named_directories_leave_by_their_names_and_the_longest_wins(tmp_path):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    raw.write_bytes(b"/srv/code/app/x /srv/code/application %s/y /src/a lib/src/b" % bytes(ROOT))
    directories = {"repository": Path("/srv/code/app"), "daemon": ROOT.parent, "short": Path("/src")}
    capture.clean_log(raw, clean, worktree_root=ROOT, home=HOME, secrets={}, directories=directories)
    assert clean.read_bytes() == b"[repository]/x /srv/code/application ./y [short]/a lib/src/b"


@pytest.mark.parametrize(
    ("log", "is_little"),
    [
        (b"running 3 tests\n" * 200, True),
        (b"running 3 tests\n" * 2000, False),
        (b"password: " * 400, False),
        (b"PASSWORD: \n" * 400, False),
        (b"eyJ\n", False),
    ],
)
def test_little_is_only_what_costs_no_search_for_credentials(tmp_path, log, is_little):
    """It is read on the event loop's own thread, where such a search would keep everybody waiting."""
    known = capture.Known(worktree_root=ROOT, home=HOME, secrets={})
    captured = capture.Capture(tmp_path / "raw", tmp_path / "clean", known=lambda: known)
    assert not captured.is_little()
    (tmp_path / "raw").write_bytes(log)
    assert captured.is_little() is is_little


def test_while_something_may_still_become_a_credential_nothing_is_little(tmp_path):
    known = capture.Known(worktree_root=ROOT, home=HOME, secrets={})
    captured = capture.Capture(tmp_path / "raw", tmp_path / "clean", known=lambda: known)
    (tmp_path / "raw").write_bytes(b"password=" + b"x" * 100)
    captured.take()
    with open(tmp_path / "raw", "ab") as raw:
        raw.write(b"and so on")
    assert not captured.is_little()
    with open(tmp_path / "raw", "ab") as raw:
        raw.write(b"\nat rest\n")
    captured.take()
    assert captured.is_little()


def test_what_was_cleaned_is_neither_changed_nor_lost_by_what_is_put_where_it_goes(tmp_path, monkeypatch):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    known = capture.Known(worktree_root=ROOT, home=HOME, secrets={"KEY": SECRET})
    monkeypatch.setattr(capture, "_IN_MEMORY_BYTES", 1)
    captured = capture.Capture(raw, clean, known=lambda: known)
    raw.write_bytes(b"one\n")
    captured.take()
    assert {each.name for each in tmp_path.iterdir()} == {"raw"}
    clean.write_bytes(SECRET.encode())
    raw.write_bytes(b"???\ntwo\n")  # Whoever looked at it again would find this.
    assert captured.read(offset=0, length=9000).content == b"one\ntwo\n"
    captured.finish()
    assert clean.read_bytes() == b"one\ntwo\n"
    clean.unlink()
    assert captured.read(offset=0, length=9000).content == b"one\ntwo\n"


def test_a_disk_that_was_full_costs_nothing_of_what_was_said(tmp_path, monkeypatch):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    known = capture.Known(worktree_root=ROOT, home=HOME, secrets={})
    captured = capture.Capture(raw, clean, known=lambda: known)
    raw.write_bytes(b"one\n")
    captured.take()
    raw.write_bytes(b"one\ntwo\n")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="full"):
        patched.setattr(shutil, "copyfileobj", full)
        captured.finish()
    assert captured.finish() == 8
    assert clean.read_bytes() == b"one\ntwo\n"
