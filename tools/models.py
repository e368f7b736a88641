"""Compile the Pydantic models of a function's request.py into what Pydantic's core loads.

    python -m tools.models create_payment

Prints the module that takes request.py's place in a package: plain classes, and the schemas that
Pydantic made of the models. It validates by the same core, and neither imports Pydantic nor builds
a model when a function starts.
"""

import sys
from importlib import import_module
from types import FunctionType, ModuleType

from shared.api.fields import Body

# Of a schema, what only serialization, documentation and Pydantic itself read.
_LEFT_OUT = {"metadata", "serialization", "json_schema_input_schema", "ref", "serialization_alias"}

_HEAD = '''"""Compiled from {name}.py by tools/models.py."""

from pydantic_core import SchemaValidator
{imports}

class _Compiled:
    __slots__ = ("__dict__", *("__pydantic_%s__" % n for n in ("extra", "fields_set", "private")))

    @classmethod
    def model_validate(cls, obj):
        return cls._validator.validate_python(obj)

    @classmethod
    def names(cls):
        return cls._names
'''

_CLASS = """

class {name}(_Compiled):
    _names = {names}


{name}._validator = SchemaValidator({schema})
"""


def compiled(folder: str) -> str:
    """Return the compiled module of a function's request.py.

    Raises:
        SystemExit: a validator stands where it cannot be imported without Pydantic.
    """
    module = import_module(f"{folder}.request")
    imports: set[str] = set()
    classes = [
        _CLASS.format(
            name=model.__name__,
            names=model.names(),
            schema=_literal(model.__pydantic_core_schema__, module, imports),
        )
        for model in models(module)
    ]
    lines = "".join(f"import {name}\n" for name in sorted(imports))
    return _HEAD.format(name=module.__name__.replace(".", "/"), imports=lines) + "".join(classes)


def models(module: ModuleType) -> list[type[Body]]:
    """Return the request bodies that a module defines."""
    return [
        model
        for model in vars(module).values()
        if isinstance(model, type)
        and issubclass(model, Body)
        and model.__module__ == module.__name__
    ]


def _literal(value: object, module: ModuleType, imports: set[str]) -> str:
    """Return Python that makes the value; what it must import is added to `imports`."""
    match value:
        case dict():
            members = [
                f"{key!r}: {_literal(each, module, imports)}"
                for key, each in value.items()
                if key not in _LEFT_OUT or (key == "metadata" and _is_field(each))
            ]
            return f"{{{', '.join(members)}}}"
        case list() | tuple():
            return f"[{', '.join(_literal(each, module, imports) for each in value)}]"
        case FunctionType():
            where = value.__module__
            if where == module.__name__ or "<" in value.__qualname__:
                raise SystemExit(
                    f"{module.__name__}: {value.__qualname__} must stand in a module of its own,"
                    " which does not import pydantic"
                )
            imports.add(where)
            return f"{where}.{value.__qualname__}"
        case type():
            return value.__name__
        case str() | int() | float() | None:
            return repr(value)
    raise SystemExit(f"{module.__name__}: {value!r} in a schema cannot be compiled")


def _is_field(value: object) -> bool:
    """Whether what stands under the key `metadata` is the field of that name."""
    return isinstance(value, dict) and value.get("type") == "model-field"


if __name__ == "__main__":
    print(compiled(sys.argv[1]), end="")
