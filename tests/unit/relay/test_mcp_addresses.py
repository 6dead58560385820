import pytest

from local_daemon.protocol import errors
from relay.mcp_server.addresses import Address, Kind, address_read, template_of

PROJECT = "0198c0de-0000-7000-8000-000000000001"
IDS = {
    Kind.RUN: "run_" + "0" * 26,
    Kind.RESULT: "step_" + "0" * 26,
    Kind.PATCH: "step_" + "0" * 26,
    Kind.ARTIFACT: "art_" + "0" * 26,
}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("location", [None, "0198c0de-0000-7000-8000-000000000002", "inst_" + "0" * 26])
def test_an_address_is_read_back_as_it_was_written(kind: Kind, location: str | None) -> None:
    address = Address(kind=kind, project_id=PROJECT, id=IDS[kind], location=location)
    assert address_read(str(address)) == address


@pytest.mark.parametrize("kind", Kind)
def test_a_template_that_is_filled_in_is_an_address(kind: Kind) -> None:
    (parameter,) = Address(kind=kind, project_id=PROJECT, id=IDS[kind]).parameters
    filled = template_of(kind).replace("{project_id}", PROJECT).replace(f"{{{parameter}}}", IDS[kind])
    assert address_read(filled.replace("{?location}", "")).kind is kind
    assert address_read(filled.replace("{?location}", "?location=here")).location == "here"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "ropeway://",
        "file:///etc/passwd",
        f"https://projects/{PROJECT}/runs/{IDS[Kind.RUN]}",
        f"ropeway://projects/{PROJECT}/runs/../../etc",
        f"ropeway://projects/{PROJECT}/runs/{IDS[Kind.RESULT]}",
        f"ropeway://projects/{PROJECT}/runs/{IDS[Kind.RUN]}/patch",
        f"ropeway://projects/{PROJECT}/steps/{IDS[Kind.RESULT]}",
        f"ropeway://projects/{PROJECT}/steps/{IDS[Kind.RESULT]}/log",
        f"ropeway://projects/not-one/runs/{IDS[Kind.RUN]}",
        f"ropeway://projects/{PROJECT}/runs/{IDS[Kind.RUN]}?location=",
        f"ropeway://projects/{PROJECT}/runs/{IDS[Kind.RUN]}?location=a%00b",
        f"ropeway://projects/{PROJECT}/runs/{IDS[Kind.RUN]}?location=a&x=1",
        f"ropeway://projects/{PROJECT}/runs/{IDS[Kind.RUN]}#x",
        f"ropeway://projects/{PROJECT}/runs/{IDS[Kind.RUN]}\n",
        f"ropeway://projects/{PROJECT}/runs/{IDS[Kind.RUN]}?location=" + "x" * 1000,
    ],
)
def test_what_is_no_address_of_ours_is_not_found(uri: str) -> None:
    with pytest.raises(errors.NotFound):
        address_read(uri)
