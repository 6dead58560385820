"""A TaskSpec or a manifest as somebody wrote it down: JSON, or YAML with JSON's kinds of values only.

YAML 1.1 reads `on:` as true, `1:30` as ninety and takes the last of two equal names; a task means what it says instead.
Pure. Called by `submit` and `manifests`. Tests: tests/unit/daemon/cli/test_task_files.py.
"""

import re
from typing import Any

import yaml

from local_daemon.protocol import errors, origins, wire

_JSON_BEGIN = re.compile(r'\s*\{\s*["}]')
_MAPPING = "tag:yaml.org,2002:map"


class _Loader(yaml.SafeLoader):
    """YAML whose plain words are texts unless JSON has them, as in YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(0|[1-9][0-9]*)$"), list("-0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"),
    list("-0123456789"),
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    members: dict[Any, Any] = {}
    for name_node, value_node in node.value:
        name = loader.construct_object(name_node, deep=True)
        if not isinstance(name, str):
            raise yaml.constructor.ConstructorError(None, None, "a name must be a text", name_node.start_mark)
        if name in members:
            raise yaml.constructor.ConstructorError(None, None, f"{name!r} is repeated", name_node.start_mark)
        members[name] = loader.construct_object(value_node, deep=True)
    return members


_Loader.add_constructor(_MAPPING, _mapping)


def form_of(text: str) -> origins.Form:
    """Which of the two it is written in."""
    return origins.Form.JSON if _JSON_BEGIN.match(text) else origins.Form.YAML


def task_file_parse(text: str, *, name: str) -> dict[str, Any]:
    """The mapping in the text, which is told of as `name`. Raises InvalidRequest, saying where it is wrong."""
    try:
        if form_of(text) is origins.Form.JSON:
            document = wire.json_read(text.encode("utf-8"))
        else:
            document = wire.storable(yaml.load(text, _Loader))  # noqa: S506 -- a SafeLoader
    except yaml.YAMLError as error:
        raise errors.InvalidRequest(f"{name}: not valid YAML: {error}") from None
    except RecursionError:
        raise errors.InvalidRequest(f"{name}: nested too deep") from None
    except ValueError as error:
        raise errors.InvalidRequest(f"{name}: {error}") from None
    if not isinstance(document, dict):
        raise errors.InvalidRequest(f"{name}: must be a mapping")
    return document
