"""template.yaml, translated by SAM's own translator, its intrinsic functions resolved."""

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import yaml
from samcli.lib import cfn_language_extensions as cfn
from samtranslator.model.exceptions import ExceptionWithMessage, InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from local import LocalError

REGION = "us-east-1"
ACCOUNT = "123456789012"  # moto's
STACK = "local"

_PSEUDO_PARAMETERS = cfn.PseudoParameterValues(
    REGION, ACCOUNT, f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/{STACK}", STACK
)
# The ARNs that end in more than the resource's id.
_ARNS = {
    "AWS::Cognito::UserPool": "cognito-idp:{}:{}:userpool/{}",
    "AWS::DynamoDB::Table": "dynamodb:{}:{}:table/{}",
    "AWS::Events::EventBus": "events:{}:{}:event-bus/{}",
    "AWS::Lambda::Function": "lambda:{}:{}:function:{}",
}
_ATTRIBUTES = {
    "ClientId": "{}",
    "ProviderName": f"cognito-idp.{REGION}.amazonaws.com/{{}}",
    "StreamArn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{}}/stream/-",
}


class UnresolvedError(Exception):
    """A value that the laptop cannot know."""


class Template:
    """A translated template, read lazily: what the laptop does not need may hold anything.

    Attributes:
        translated: the whole template, its intrinsic functions as they were.
        ids: physical ids by logical id. A resource goes by its logical id, as under `sam local`,
            until it is made with another one.
    """

    def __init__(self, path: Path, parameters: Mapping[str, str] = {}) -> None:
        """Translate the template at `path`.

        A parameter that is not given has its default, or else the first of its allowed values.

        Raises:
            LocalError: it cannot be read, or is not a valid SAM template.
        """
        self.path = path
        self.translated = _translate(path, parameters)
        self.ids = {logical_id: logical_id for logical_id in self.translated["Resources"]}
        self._resolve = _Resolver(self.translated, self.ids, self._attribute).resolve_value
        for logical_id, alias in self.resources("AWS::Lambda::Alias", "FunctionName Name").items():
            function = _arn("AWS::Lambda::Function", alias["FunctionName"])
            self.ids[logical_id] = f"{function}:{alias['Name']}"

    def resources(self, kind: str, names: str) -> dict[str, dict[str, Any]]:
        """Return the named properties of every resource of a type, by logical id.

        Names are separated by spaces. A resource whose condition does not hold is not there.

        Raises:
            LocalError: a property has a value that only AWS knows.
        """
        found = {}
        for logical_id, resource in self.translated["Resources"].items():
            if resource["Type"] == kind and self._holds(resource):
                properties = resource.get("Properties", {})
                wanted = {name: properties[name] for name in names.split() if name in properties}
                try:
                    found[logical_id] = self._resolve(wanted)
                except UnresolvedError as error:
                    raise LocalError(f"{self.path.name}: {logical_id}: {error}") from None
        return found

    def _holds(self, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self._resolve({"Condition": resource["Condition"]})

    def _attribute(self, logical_id: str, name: str) -> str:
        if name == "Arn":
            return _arn(self.translated["Resources"][logical_id]["Type"], self.ids[logical_id])
        return _ATTRIBUTES[name].format(self.ids[logical_id])


class _Resolver(cfn.IntrinsicResolver):  # type: ignore[misc]
    """SAM CLI's resolver of intrinsic functions, which knows the resources as well."""

    def __init__(
        self, template: dict[str, Any], ids: dict[str, str], attribute: Callable[..., str]
    ) -> None:
        context = cfn.TemplateProcessingContext(
            template, ids, _PSEUDO_PARAMETERS, resolution_mode=cfn.ResolutionMode.FULL
        )
        cfn.TemplateParsingProcessor().process_template(context)
        super().__init__(context)
        for each in cfn.create_default_intrinsic_resolver(context).resolvers:
            self.register_resolver(type(each))
        self._attribute = attribute

    def resolve_value(self, value: Any) -> Any:
        """Return a value without its intrinsic functions, and without what is AWS::NoValue.

        Raises:
            UnresolvedError: only AWS knows it.
        """
        try:
            match value:
                case {"Fn::GetAtt": argument}:
                    return self._attribute(*argument)
                case {"Fn::ImportValue": _}:  # which it would leave as it is
                    raise LookupError  # noqa: TRY301
                case {"Fn::Sub": argument}:
                    value = {"Fn::Sub": _with_attributes(argument)}
            resolved = super().resolve_value(value)
        except (
            cfn.InvalidTemplateException,
            cfn.UnresolvableReferenceError,
            LookupError,
            TypeError,
            ValueError,
        ):
            [(name, argument), *_] = value.items()
            raise UnresolvedError(f"{name} {argument} is not known on the laptop") from None
        if isinstance(resolved, dict):
            return {name: item for name, item in resolved.items() if item is not None}
        if isinstance(resolved, list):
            return [item for item in resolved if item is not None]
        return resolved


def _with_attributes(argument: str | list[Any]) -> list[Any]:
    """Return the argument of a Fn::Sub, with the resources' attributes as variables of it."""
    text, variables = (argument, {}) if isinstance(argument, str) else argument
    names = re.findall(r"\$\{(\w+\.[\w.]+)}", text)
    return [text, {name: {"Fn::GetAtt": name.split(".", 1)} for name in names} | variables]


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
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise LocalError(f"{path.name}: not a SAM template ({error})") from None
    return translated
