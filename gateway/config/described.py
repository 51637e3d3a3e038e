"""Docstrings below the fields of a model, read when a schema is asked for.

pydantic can read them itself, but does so when the class is made: a daemon that shows nobody a schema would parse its
own source at every start, a tenth of the time until it is ready.
"""

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Described(BaseModel):
    """A model whose JSON Schema tells the docstrings of its fields; a `description` of a field's own stands."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> dict[str, Any]:
        """Add the descriptions; pydantic calls this for each model of a schema."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for model in reversed(cls.__mro__):
            if issubclass(model, Described) and model is not Described:
                for name, text in _docstrings(model).items():
                    field = cls.model_fields.get(name)
                    key = (field.alias or name) if field is not None else name
                    if key in properties:
                        properties[key].setdefault("description", text)
        return schema


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Give the docstring below each field of `model`; none if its source cannot be had."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        above.target.id: inspect.cleandoc(below.value.value)
        for above, below in pairwise(body)
        if isinstance(above, ast.AnnAssign)
        and isinstance(above.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }
