"""The way to a cloud by URL: whom it trusts, what it follows, and how it reads answers that are none."""

import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloud.cloudctl import main

ME = {"name": "t", "organization": {"slug": "acme", "organization_id": "1"}, "scopes": []}
Answering = Callable[[BaseHTTPRequestHandler], tuple[int, dict[str, str], bytes]]


class Front:
    """What stands where the cloud should: answers as the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.answering: Answering = lambda _request: (200, {}, json.dumps(ME).encode())

    def handler(self) -> type[BaseHTTPRequestHandler]:
        front = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                front.asked.append((self.command, self.path, dict(self.headers)))
                status, headers, content = front.answering(self)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_PATCH = do_GET  # noqa: N815 - the library's name
            do_CONNECT = do_GET  # noqa: N815 - the library's name

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def front() -> Front:
    return Front()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of our own for this address, with its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ours")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


def serving(front: Front, certificate: Path | None) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), front.handler())
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scheme = "http" if certificate is None else "https"
    yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def https(front: Front, certificate: Path) -> Iterator[str]:
    yield from serving(front, certificate)


@pytest.fixture
def http(front: Front) -> Iterator[str]:
    yield from serving(front, None)


def run(url: str, *arguments: str, **env: str) -> Result:
    """`cloudctl` against that URL; the environment's own proxies are not ours."""
    unset = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NO_PROXY", "no_proxy")
    given = {**dict.fromkeys(unset, ""), "CLOUDCTL_URL": url, "CLOUDCTL_TOKEN": "rw_secret", **env}
    return CliRunner().invoke(main.cloudctl, [*arguments, "--json"], env=given, catch_exceptions=False)


def test_a_certificate_of_ones_own_is_trusted_where_it_is_named(https: str, front: Front, certificate: Path) -> None:
    unknown = run(https, "workspace", "show", "00000000-0000-0000-0000-000000000000")
    assert (unknown.exit_code, json.loads(unknown.stderr)["code"]) == (6, "deadline_exceeded")
    assert front.asked == []
    known = run(https, "limits", "show", CLOUDCTL_CA_FILE=str(certificate))
    assert (known.exit_code, json.loads(known.stdout)) == (0, ME)
    ((_, path, headers),) = front.asked
    assert (path, headers["Authorization"]) == ("/api/cloud/v1/limits", "Bearer rw_secret")


@pytest.mark.parametrize("url", ["http://ropeway.example.com", "http://localhost.example.com", "ftp://localhost", "x"])
def test_a_token_is_not_sent_in_the_clear(url: str) -> None:
    told = run(url, "limits", "show")
    assert (told.exit_code, "https://" in told.stderr) == (2, True)


def test_a_redirect_is_not_followed_for_it_would_carry_the_token_along(http: str, front: Front) -> None:
    front.answering = lambda _request: (302, {"Location": "/elsewhere"}, b"")
    told = run(http, "limits", "show")
    assert (told.exit_code, "no Ropeway cloud" in told.stderr) == (2, True)
    assert len(front.asked) == 1


@pytest.mark.parametrize(("status", "content"), [(200, b"<html>"), (502, b"<html>"), (404, b'{"detail": "x"}')])
def test_what_is_no_cloud_is_told_so(http: str, front: Front, status: int, content: bytes) -> None:
    front.answering = lambda _request: (status, {}, content)
    told = run(http, "limits", "show")
    assert (told.exit_code, "no Ropeway cloud" in told.stderr) == (2, True)


def test_an_answer_without_end_is_not_read_to_its_end(http: str, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloud.cloudctl import remote

    monkeypatch.setattr(remote, "_ANSWER_BYTES", 1000)
    front.answering = lambda _request: (200, {}, b" " * 100_000)
    assert json.loads(run(http, "limits", "show").stderr)["code"] == "payload_too_large"


def test_a_proxy_is_used_as_the_environment_says(http: str, front: Front) -> None:
    front.answering = lambda _request: (502, {}, b"")
    told = run("https://ropeway.example.com", "limits", "show", https_proxy=http)
    assert told.exit_code == 6
    ((method, asked, headers),) = front.asked
    assert (method, asked, "Authorization" in headers) == ("CONNECT", "ropeway.example.com:443", False)


def test_a_token_for_this_machine_goes_through_no_proxy(http: str, front: Front) -> None:
    told = run("http://localhost:1", "limits", "show", http_proxy=http, all_proxy=http)
    assert (told.exit_code, front.asked) == (6, [])


@pytest.mark.parametrize("url", ["https://me:hunter2@ropeway.example.com", "http://hunter2@localhost:1"])
def test_a_password_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    told = run(url, "limits", "show")
    assert (told.exit_code, "Leave it out" in told.stderr, "hunter2" in told.stderr) == (2, True, False)


def test_pages_are_followed_up_to_the_limit_and_no_further(http: str, front: Front) -> None:
    def page(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        size = int(request.path.partition("limit=")[2].partition("&")[0])
        return 200, {}, json.dumps({"items": [{"slug": "w"}] * size, "next_cursor": "more"}).encode()

    front.answering = page
    told = json.loads(run(http, "workspace", "list", "--limit", "450").stdout)
    assert (len(told["items"]), told["next_cursor"]) == (450, "more")
    assert [path.partition("?")[2] for _, path, _ in front.asked] == [
        "limit=200",
        "limit=200&cursor=more",
        "limit=50&cursor=more",
    ]


def test_a_change_says_which_version_it_is_of(http: str, front: Front) -> None:
    conflict = {"code": "precondition_failed", "detail": "It changed.", "status": 412}
    front.answering = lambda _request: (412, {}, json.dumps(conflict).encode())
    update = ("workspace", "update", "00000000-0000-0000-0000-000000000000", "--name", "x")
    assert run(http, *update, "--version", "3").exit_code == 5
    run(http, *update)
    assert [headers["If-Match"] for _, _, headers in front.asked] == ['"3"', "*"]
