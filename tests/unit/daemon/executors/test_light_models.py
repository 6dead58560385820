"""A library of models is imported without building those nobody uses."""

import subprocess
import sys

import pydantic
import pytest

from local_daemon.executors import light_models


def test_models_defined_meanwhile_are_built_when_first_used() -> None:
    with light_models.models_lightened():

        class Letter(pydantic.BaseModel):
            model_config = pydantic.ConfigDict(use_attribute_docstrings=True, populate_by_name=True)
            to: str = pydantic.Field(alias="recipient")

    assert not Letter.__pydantic_complete__
    assert Letter.model_validate({"to": "her"}).model_dump(by_alias=True) == {"recipient": "her"}
    with pytest.raises(pydantic.ValidationError):
        Letter.model_validate({"to": 1})


def test_models_defined_afterwards_are_as_ever() -> None:
    config = pydantic.ConfigDict
    with pytest.raises(ModuleNotFoundError), light_models.models_lightened():
        raise ModuleNotFoundError("no such library")
    assert pydantic.ConfigDict is config

    class Letter(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(use_attribute_docstrings=True)
        to: str
        """Whom it is for."""

    assert Letter.__pydantic_complete__
    assert Letter.model_fields["to"].description == "Whom it is for."


def test_the_talk_with_an_agent_builds_no_model_of_the_protocol_beforehand() -> None:
    """In a process of its own, as an attempt's is."""
    program = (
        "from local_daemon.executors import acp_client\n"
        "from acp import schema\n"
        "print(schema.PromptRequest.__pydantic_complete__, schema.PromptRequest.model_fields['prompt'].description)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "None"]
