"""The JSON schema of a report, and the strict reading of one, both derived from the dataclasses of `report.py`.

`report.schema.json` is this module's output; a test holds the two together. To write it anew:

    python -m microemo.inference.report.schema > inference/report/report.schema.json
"""

from __future__ import annotations

import inspect
import json
import math
import sys
import types
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from microemo.inference.report.report import READABLE_VERSIONS, SCHEMA_VERSION, EmotionReport

JSON_TYPES = {str: "string", float: "number", int: "integer", bool: "boolean"}


def report_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of `EmotionReport.to_json`."""
    definitions: dict[str, Any] = {}
    root = _type_schema(EmotionReport, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"MicroEmo emotion report {SCHEMA_VERSION}",
        **root,
        "$defs": definitions,
    }


def decode_report(data: Any) -> EmotionReport:
    """The report in parsed JSON `data`; one of an older version that can be read becomes one of today's.

    Raises `ValueError` that names the field for a missing, unknown or wrongly typed one, or for another version.
    """
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version not in READABLE_VERSIONS:
        raise ValueError(f"schema_version must be one of {', '.join(READABLE_VERSIONS)}, got {version!r}")
    return _decode(EmotionReport, {**data, "schema_version": SCHEMA_VERSION}, "report")


def _type_schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return {**_type_schema(arguments[0], definitions), **dict(arguments[1:])}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _type_schema(arguments[0], definitions)}
    if origin in (Union, types.UnionType):
        value = next(argument for argument in arguments if argument is not types.NoneType)
        return {"anyOf": [_type_schema(value, definitions), {"type": "null"}]}
    if is_dataclass(kind):
        name = kind.__name__  # type: ignore[union-attr]
        if name not in definitions:
            definitions[name] = {}  # holds the place while its fields are visited
            definitions[name] = _object_schema(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    return {"type": JSON_TYPES[kind]}


def _object_schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        "description": inspect.getdoc(kind),
        "type": "object",
        "properties": {field.name: _type_schema(hints[field.name], definitions) for field in fields(kind)},
        "required": [field.name for field in fields(kind)],
        "additionalProperties": False,
    }


def _decode(kind: Any, data: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        bounds = dict(arguments[1:])
        value = _decode(arguments[0], data, where)
        low, high = bounds.get("minimum", -math.inf), bounds.get("maximum", math.inf)
        if not low <= value <= high:
            raise ValueError(f"{where} must be in [{low}, {high}], got {value!r}")
        return value
    if origin in (Union, types.UnionType):
        value = next(argument for argument in arguments if argument is not types.NoneType)
        return None if data is None else _decode(value, data, where)
    if origin is Literal:
        if data not in arguments:
            raise ValueError(f"{where} must be one of {arguments}, got {data!r}")
        return data
    if origin is tuple:
        if not isinstance(data, list):
            raise ValueError(f"{where} must be a list, got {type(data).__name__}")
        return tuple(_decode(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    if is_dataclass(kind):
        return _decode_object(kind, data, where)
    return _decode_plain(kind, data, where)


def _decode_object(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be an object, got {type(data).__name__}")
    known = {field.name: field for field in fields(kind)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise ValueError(f"{where} has unknown fields {unknown}")
    missing = [name for name, field in known.items() if name not in data and field.default is MISSING]
    if missing:
        raise ValueError(f"{where} lacks the fields {missing}")
    hints = get_type_hints(kind, include_extras=True)
    return kind(**{name: _decode(hints[name], value, f"{where}.{name}") for name, value in data.items()})


def _decode_plain(kind: type, data: Any, where: str) -> Any:
    # JSON writers of other languages print 1.0 as 1; a bool is an int in Python but never a number in a report.
    if kind is float and isinstance(data, (int, float)) and not isinstance(data, bool):
        if not abs(data) <= sys.float_info.max:  # NaN and Infinity are no JSON, but Python's reader takes them
            raise ValueError(f"{where} must be a finite number, got {str(data)[:40]}")
        return float(data)
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise ValueError(f"{where} must be of type {JSON_TYPES[kind]}, got {data!r}")
    return data


if __name__ == "__main__":
    json.dump(report_schema(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
