"""`make lint` tells in one line where the functions' folders and the template do not agree."""

from pathlib import Path

import pytest

from tools.functions import mistakes

FUNCTION = """
  {name}:
    Type: AWS::Serverless::Function
    Properties: {{Handler: {handler}}}
"""


def project(root: Path, functions: dict[str, str], *files: str) -> Path:
    template = "Resources:\n  Table: {Type: AWS::DynamoDB::Table}\n" + "".join(
        FUNCTION.format(name=name, handler=handler) for name, handler in functions.items()
    )
    (root / "template.yaml").write_text(template)
    for file in files:
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).touch()
    return root


@pytest.mark.parametrize(
    ("functions", "files", "told"),
    [
        (
            {"AddNoteFunction": "add_note.app.handler"},
            ["add_note/app.py", "add_note/__init__.py"],
            [],
        ),
        (
            {"AddNoteFunction": "add_note.app.handler"},
            ["add_note/app.py"],
            ["add_note/: there is no __init__.py"],
        ),
        (
            {"AddNoteFunction": "add_note.app.handler"},
            [],
            ["template.yaml: AddNoteFunction: there is no add_note/app.py"],
        ),
        (
            {"AddNoteFunction": "app.handler"},
            ["add_note/app.py", "add_note/__init__.py"],
            ["template.yaml: AddNoteFunction: its Handler must be add_note.app.handler"],
        ),
        (
            {},
            ["add_note/app.py", "add_note/__init__.py"],
            ["add_note/: template.yaml has no AddNoteFunction"],
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(
    functions: dict[str, str], files: list[str], told: list[str], tmp_path: Path
) -> None:
    assert list(mistakes(project(tmp_path, functions, *files))) == told
