"""A JSON Schema validator for the subset that msgspec writes; anything else is an error, so nothing is
accepted by not being understood."""

from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
_KNOWN = {
    "$schema", "$id", "$defs", "$ref", "title", "description", "type", "properties", "required", "items",
    "anyOf", "enum", "const", "default", "format", "additionalProperties", "prefixItems", "minItems",
    "maxItems",
}  # fmt: skip


class Mismatch(AssertionError):
    """The value is not what the schema says."""


def check(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None, place: str = "$") -> None:
    """Raise Mismatch unless `value` fits `schema`."""
    root = schema if root is None else root
    unknown = schema.keys() - _KNOWN
    if unknown:
        raise Mismatch(f"{place}: the check does not know {unknown}")
    if "$ref" in schema:
        check(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, place)
    if "anyOf" in schema:
        _any_of(value, schema["anyOf"], root, place)
    if "const" in schema and value != schema["const"]:
        raise Mismatch(f"{place}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        raise Mismatch(f"{place}: {value!r} is not one of {schema['enum']}")
    if "type" in schema:
        _type(value, schema["type"], place)
    if isinstance(value, dict):
        _object(value, schema, root, place)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for number, item in enumerate(value):
            check(item, schema["items"], root, f"{place}[{number}]")


def _type(value: Any, name: str, place: str) -> None:
    if not isinstance(value, _TYPES[name]) or (isinstance(value, bool) and name in ("integer", "number")):
        raise Mismatch(f"{place}: {value!r} is no {name}")


def _any_of(value: Any, options: list[dict[str, Any]], root: dict[str, Any], place: str) -> None:
    for option in options:
        try:
            check(value, option, root, place)
        except Mismatch:
            continue
        return
    raise Mismatch(f"{place}: {value!r} fits none of {options}")


def _object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], place: str) -> None:
    properties = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        raise Mismatch(f"{place}: {missing} missing")
    for name, item in value.items():
        if name in properties:
            check(item, properties[name], root, f"{place}.{name}")
        elif isinstance(schema.get("additionalProperties"), dict):
            check(item, schema["additionalProperties"], root, f"{place}.{name}")
        elif properties:
            raise Mismatch(f"{place}.{name}: the schema does not mention it")
