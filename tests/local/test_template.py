"""The template, read as CloudFormation would."""

from pathlib import Path

import pytest

from local import LocalError
from local.stack import api, functions
from local.template import Template

STACK = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Name: {Type: String, Default: shop}
  Secret: {Type: String}
Mappings:
  Sizes: {us-east-1: {memory: 256}}
Conditions:
  Always: !Not [!Equals [!Ref Name, other]]
  Never: !And [!Condition Always, !Equals [!Ref Name, other]]
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties: {StageName: live, OpenApiVersion: 3.0.1}
  Function:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: app.handler
      Runtime: python3.13
      AutoPublishAlias: live
      MemorySize: !FindInMap [Sizes, !Ref AWS::Region, memory]
      Role: !ImportValue somewhere-else
      Environment:
        Variables:
          CONDITION: !If [Never, 1, 2]
          JOINED: !Join ["-", [!Ref Name, !Select [1, !Split [",", "a,b"]]]]
          LITERAL: !Sub "${!Name}"
          MISSING: !If [Never, here, !Ref AWS::NoValue]
          TABLE_ARN: !GetAtt Table.Arn
          WITH_VARIABLES: !Sub ["${Table}/${X}/${Name}", {X: !Ref Name}]
      Events:
        Get: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /things, Method: GET}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties: {BillingMode: PAY_PER_REQUEST}
  Absent:
    Type: AWS::DynamoDB::Table
    Condition: Never
"""


def _template(folder: Path, text: str) -> Template:
    path = folder / "template.yaml"
    path.write_text(text)
    return Template(path)


def test_intrinsic_functions_have_the_values_that_cloudformation_gives(tmp_path: Path) -> None:
    [function] = functions(_template(tmp_path, STACK)).values()

    assert function.memory == 256
    assert function.code == tmp_path / "src"
    assert function.environment == {
        "CONDITION": "2",
        "JOINED": "shop-b",
        "LITERAL": "${Name}",
        "TABLE_ARN": "arn:aws:dynamodb:us-east-1:123456789012:table/Table",
        "WITH_VARIABLES": "Table/shop/shop",
    }


def test_a_resource_whose_condition_does_not_hold_is_not_there(tmp_path: Path) -> None:
    tables = _template(tmp_path, STACK).resources("AWS::DynamoDB::Table", "BillingMode")

    assert tables == {"Table": {"BillingMode": "PAY_PER_REQUEST"}}


def test_a_route_finds_its_function_through_an_alias(tmp_path: Path) -> None:
    [route] = api(_template(tmp_path, STACK)).routes

    assert (route.method, route.path, route.target) == ("GET", "/things", "Function")


@pytest.mark.parametrize("value", ["!ImportValue x", "!Ref Secret", "!GetAtt Table.TableId"])
def test_a_value_that_only_aws_knows_is_one_line_that_says_where(
    tmp_path: Path, value: str
) -> None:
    template = _template(tmp_path, STACK.replace("!GetAtt Table.Arn", value))

    with pytest.raises(LocalError, match=r"^template\.yaml: Function: .* not known on the laptop$"):
        functions(template)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Resources: [", r"template\.yaml:1: .*"),
        ("Resources:\n  A:\n Type: x", r"template\.yaml:3: .*"),
        ("", r"template\.yaml: not a SAM template .*"),
        ("Resources: {A: {}}", r"template\.yaml: not a SAM template .*"),
        (
            "Resources: {A: {Type: AWS::Serverless::Function, Properties: {Bad: 1}}}",
            r"template\.yaml: .*\[A\] is invalid.*",
        ),
    ],
)
def test_a_broken_template_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LocalError) as raised:
        _template(tmp_path, text)

    assert raised.match(f"^{message}$")
    assert "\n" not in str(raised.value)
