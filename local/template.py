"""template.yaml, translated by SAM's own translator, its intrinsic functions resolved."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import boto3
import yaml
from samcli.lib.cfn_language_extensions.api import create_default_intrinsic_resolver
from samcli.lib.cfn_language_extensions.exceptions import InvalidTemplateException
from samcli.lib.cfn_language_extensions.models import TemplateProcessingContext
from samcli.lib.cfn_language_extensions.processors import ForEachProcessor, TemplateParsingProcessor
from samtranslator.model.exceptions import ExceptionWithMessage, InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from local import LocalError

REGION = "us-east-1"
ACCOUNT = "123456789012"  # moto's
STACK = "local"

_PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/{STACK}",
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
# The ARNs that end in more than the resource's id.
_ARNS = {
    "AWS::Cognito::UserPool": "cognito-idp:{}:{}:userpool/{}",
    "AWS::DynamoDB::Table": "dynamodb:{}:{}:table/{}",
    "AWS::Events::EventBus": "events:{}:{}:event-bus/{}",
    "AWS::Lambda::Function": "lambda:{}:{}:function:{}",
}
_ATTRIBUTES = {
    ("AWS::Cognito::UserPool", "ProviderName"): f"cognito-idp.{REGION}.amazonaws.com/{{}}",
    ("AWS::Cognito::UserPoolClient", "ClientId"): "{}",
    (
        "AWS::DynamoDB::Table",
        "StreamArn",
    ): f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{}}/stream/-",
}
_PURE: Mapping[str, Callable[[Any], Any]] = {
    "Fn::Equals": lambda pair: pair[0] == pair[1],
    "Fn::Join": lambda pair: pair[0].join(map(str, pair[1])),
    "Fn::Select": lambda pair: pair[1][int(pair[0])],
    "Fn::Split": lambda pair: pair[1].split(pair[0]),
}
_NO_VALUE = object()


class UnresolvedError(Exception):
    """A value that the laptop cannot know."""


class Template:
    """A translated template, read lazily: what the laptop does not need may hold anything.

    Attributes:
        translated: the whole template, its intrinsic functions as they were.
        ids: physical ids by logical id, added as resources are made. Without one, a resource goes
            by its logical id, as it does under `sam local`.
    """

    def __init__(self, path: Path, parameters: Mapping[str, str] = {}) -> None:
        """Translate the template at `path`.

        A parameter that is not given has its default, or else the first of its allowed values.

        Raises:
            LocalError: it cannot be read, or is not a valid SAM template.
        """
        self.path = path
        self.ids: dict[str, str] = {}
        self._template = self.translated = _translate(path, parameters)
        self._intrinsics: Mapping[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Sub": self._sub,
        }

    def resources(self, kind: str, names: str) -> dict[str, dict[str, Any]]:
        """Return the named properties of every resource of a type, by logical id.

        Names are separated by spaces. A resource whose condition does not hold is not there.

        Raises:
            LocalError: a property has a value that only AWS knows.
        """
        return {
            logical_id: self._properties(logical_id, resource.get("Properties", {}), names.split())
            for logical_id, resource in self._template["Resources"].items()
            if resource["Type"] == kind and self._holds(resource.get("Condition"))
        }

    def _properties(
        self, logical_id: str, properties: Mapping[str, Any], names: Iterable[str]
    ) -> dict[str, Any]:
        try:
            wanted: dict[str, Any] = self._resolve(
                {name: properties[name] for name in names if name in properties}
            )
        except UnresolvedError as error:
            raise LocalError(f"{self.path.name}: {logical_id}: {error}") from None
        return wanted

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            items = map(self._resolve, value)
            return [item for item in items if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._intrinsic(name, argument)
        resolved = {name: self._resolve(item) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item is not _NO_VALUE}

    def _intrinsic(self, name: str, argument: Any) -> Any:
        try:
            if name in _PURE:
                return _PURE[name](self._resolve(argument))
            return self._intrinsics[name](argument)
        except (LookupError, TypeError, ValueError):
            raise UnresolvedError(f"{name} {argument} is not known on the laptop") from None

    def _holds(self, condition: str | None) -> bool:
        return condition is None or self._evaluate(self._template["Conditions"][condition])

    def _evaluate(self, condition: Any) -> bool:
        match condition:
            case {"Condition": name}:
                return self._holds(name)
            case {"Fn::And": conditions}:
                return all(map(self._evaluate, conditions))
            case {"Fn::Or": conditions}:
                return any(map(self._evaluate, conditions))
            case {"Fn::Not": [negated]}:
                return not self._evaluate(negated)
        return bool(self._resolve(condition))

    def _if(self, argument: list[Any]) -> Any:
        condition, then, otherwise = argument
        return self._resolve(then if self._holds(condition) else otherwise)

    def _find_in_map(self, argument: list[Any]) -> Any:
        mapping, first, second = self._resolve(argument)
        return self._template["Mappings"][mapping][first][second]

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in _PSEUDO_PARAMETERS:
            return _PSEUDO_PARAMETERS[name]
        if name in self._template.get("Parameters", {}):
            return self._template["Parameters"][name]["Default"]
        resource = self._template["Resources"][name]
        if resource["Type"] == "AWS::Lambda::Alias":
            function, alias = (
                self._resolve(resource["Properties"][key]) for key in ("FunctionName", "Name")
            )
            return f"{_arn('AWS::Lambda::Function', function)}:{alias}"
        return self.ids.get(name, name)

    def _get_att(self, argument: str | list[str]) -> str:
        logical_id, attribute = (
            argument.split(".", 1) if isinstance(argument, str) else self._resolve(argument)
        )
        kind, physical_id = self._template["Resources"][logical_id]["Type"], self._ref(logical_id)
        if attribute == "Arn":
            return _arn(kind, physical_id)
        return _ATTRIBUTES[kind, attribute].format(physical_id)

    def _sub(self, argument: str | list[Any]) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in variables:
                return str(self._resolve(variables[name]))
            return str(self._get_att(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)}", value, text)


def _arn(kind: str, physical_id: str) -> str:
    rest = _ARNS.get(kind, f"{kind.split('::')[1].lower()}:{{}}:{{}}:{{}}")
    return f"arn:aws:{rest.format(REGION, ACCOUNT, physical_id)}"


def _translate(path: Path, parameters: Mapping[str, str]) -> dict[str, Any]:
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of its own feature flags
    try:
        source = yaml_parse(path.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
        for name, value in parameters.items():
            source["Parameters"][name]["Default"] = value
        for parameter in source.get("Parameters", {}).values():
            if "AllowedValues" in parameter:  # whoever deploys has to choose; the laptop is dev
                parameter.setdefault("Default", parameter["AllowedValues"][0])
        source = _without_loops(source)
        folder = source.get("Globals", {}).get("Function", {}).pop("CodeUri", ".")
        for resource in source["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                # The translator takes only code in S3; the key carries the folder through.
                properties = resource.setdefault("Properties", {})
                code = {"Bucket": "local", "Key": properties.get("CodeUri", folder)}
                properties["CodeUri"] = code
        translator = Translator(None, Parser(), boto_session=boto3.Session(region_name=REGION))
        translated: dict[str, Any] = translator.translate(source, {})
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LocalError(f"{path.name}:{line}: {error.problem}") from None
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes)
        raise LocalError(f"{path.name}: {causes}") from None
    except (
        ExceptionWithMessage,
        InvalidTemplateException,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise LocalError(f"{path.name}: not a SAM template ({error})") from None
    return translated


def _without_loops(source: dict[str, Any]) -> dict[str, Any]:
    """Return the template with every Fn::ForEach expanded, which the translator does not know."""
    context = TemplateProcessingContext(fragment=source)
    TemplateParsingProcessor().process_template(context)
    ForEachProcessor(create_default_intrinsic_resolver(context)).process_template(context)
    return context.fragment
