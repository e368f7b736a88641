"""What is chosen for an environment, and what CloudFormation refuses before it makes anything."""

from typing import Any

import pytest
import tomlkit
from samcli.yamlhelper import yaml_parse

from tests.conftest import ROOT
from tests.infra.conftest import deployed

PARAMETERS = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]
SAMCONFIG = tomlkit.parse((ROOT / "samconfig.toml").read_text()).unwrap()
CONFIGS = {"default": "dev", "staging": "staging", "prod": "prod"}


def chosen(config: str) -> dict[str, str]:
    overrides: dict[str, Any] = SAMCONFIG[config]["deploy"]["parameters"]["parameter_overrides"]
    return {name: str(value) for name, value in overrides.items()}


def test_whoever_forgets_the_environment_deploys_none() -> None:
    assert [name for name, each in PARAMETERS.items() if "Default" not in each] == ["Environment"]


@pytest.mark.parametrize(("config", "environment"), CONFIGS.items())
def test_an_environment_names_every_parameter(config: str, environment: str) -> None:
    """SAM CLI keeps the value of the deployment before for one that is left out."""
    assert set(SAMCONFIG) - {"version"} == set(CONFIGS)
    assert list(chosen(config)) == sorted(chosen(config), key=list(PARAMETERS).index)
    assert set(chosen(config)) == set(PARAMETERS)
    assert chosen(config)["Environment"] == environment
    assert SAMCONFIG[config]["global"]["parameters"]["stack_name"] == f"payment-api-{environment}"


@pytest.mark.parametrize("config", CONFIGS)
def test_what_an_environment_chooses_may_be_deployed(config: str) -> None:
    for name, value in chosen(config).items():
        assert value in PARAMETERS[name].get("AllowedValues", [value]), name
    assert deployed(**chosen(config)).broken_rules == []


@pytest.mark.parametrize("config", CONFIGS)
def test_what_was_uploaded_before_is_not_trusted(config: str) -> None:
    """SAM CLI names a package by its MD5, and leaves what is there under that name."""
    assert SAMCONFIG[config]["deploy"]["parameters"]["force_upload"] is True


@pytest.mark.parametrize(
    "parameters",
    [
        {"Environment": "prod", "PasswordSignIn": "true"},
        {"AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:x", "AlarmEmail": "a@b.example"},
        {"WebAclArn": "arn:aws:wafv2:x", "CallsPerAddress": "100"},
    ],
)
def test_parameters_that_do_not_go_together_are_refused(parameters: dict[str, str]) -> None:
    assert len(deployed(**parameters).broken_rules) == 1
