"""The template as SAM translates it, for each environment."""

import json
from copy import deepcopy
from functools import cache
from typing import Any

import pytest

from local import template
from local.template import Template
from tests.conftest import ROOT

# Parsing the YAML takes most of the time that a translation takes.
parsed = cache(template.yaml_parse)
template.yaml_parse = lambda text: deepcopy(parsed(text))

ENVIRONMENTS = ["dev", "staging", "prod"]


class Stack(Template):
    """A translated template with its parameters, conditions and maps resolved.

    A reference to another resource reads as its name, and to its attribute as `Name.Attribute`.
    """

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return every resource of a type by name, with its attributes and properties."""
        return {
            name: self._resolve(resource)
            for name, resource in self.translated["Resources"].items()
            if resource["Type"] == kind and self._holds(resource)
        }

    def one(self, kind: str) -> dict[str, Any]:
        """Return the properties of the only resource of a type."""
        [resource] = self.all(kind).values()
        properties: dict[str, Any] = resource["Properties"]
        return properties

    @property
    def functions(self) -> dict[str, dict[str, Any]]:
        """Return the properties of every function by its name."""
        return {
            name: function["Properties"]
            for name, function in self.all("AWS::Lambda::Function").items()
        }

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Return every parameter by its name, as the template has it."""
        parameters: dict[str, dict[str, Any]] = self.translated["Parameters"]
        return parameters

    @property
    def broken_rules(self) -> list[str]:
        """Return what CloudFormation says of the parameters before it makes anything."""
        return [
            assertion["AssertDescription"]
            for rule in self.translated["Rules"].values()
            if self._resolve(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self._resolve(assertion["Assert"])
        ]

    @property
    def kinds(self) -> set[str]:
        return {resource["Type"] for resource in self.translated["Resources"].values()}

    @property
    def outputs(self) -> dict[str, str]:
        return {
            name: self._resolve(output["Value"])
            for name, output in self.translated["Outputs"].items()
        }

    @property
    def routes(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return every method of the API by its name and path, as OpenAPI has it."""
        paths = self.one("AWS::ApiGateway::RestApi")["Body"]["paths"]
        return {
            (method.upper(), path): operation
            for path, methods in paths.items()
            for method, operation in methods.items()
        }

    @property
    def source(self) -> str:
        return json.dumps(self.translated)

    def _attribute(self, logical_id: str, name: str) -> str:
        return f"{logical_id}.{name}"


@cache
def deployed(**parameters: str) -> Stack:
    """Return the stack that these parameters make; the others have their defaults."""
    return Stack(ROOT / "template.yaml", parameters)


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    """Run the test for each environment."""
    name: str = request.param
    return name


@pytest.fixture
def stack(environment: str) -> Stack:
    """Return the stack as that environment has it."""
    return deployed(Environment=environment)
