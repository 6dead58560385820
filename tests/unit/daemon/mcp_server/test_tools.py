from local_daemon.mcp_server import tools
from local_daemon.protocol.operations import OPERATIONS


def test_every_operation_is_a_tool() -> None:
    assert {tool["name"] for tool in tools.definitions()} == {each.tool_name for each in OPERATIONS.values()}


def test_no_two_fields_of_a_tool_share_a_name() -> None:
    for operation in OPERATIONS.values():
        names = list(operation.parameters)
        for model in (operation.query, operation.request):
            names += list(model.model_fields) if model is not None else []
        assert len(set(names)) == len(names), operation.name


def test_a_tool_says_whether_it_changes_anything() -> None:
    hints = {tool["name"]: tool["annotations"] for tool in tools.definitions()}
    assert hints["steps_get"]["readOnlyHint"]
    assert hints["steps_cancel"]["destructiveHint"]
    assert not hints["steps_submit"]["readOnlyHint"]
