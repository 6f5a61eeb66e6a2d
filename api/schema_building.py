"""JSON Schemas put together from parts; definitions travel with what refers to them."""

from __future__ import annotations

from collections.abc import Mapping

from api.endpoint import JsonSchema


def object_of(properties: Mapping[str, JsonSchema]) -> JsonSchema:
    """Return the schema of an object with these properties, all required."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
    }


def map_of(values: JsonSchema) -> JsonSchema:
    """Return the schema of an object with any names and these values."""
    return {"type": "object", "additionalProperties": values}


def array_of(items: JsonSchema) -> JsonSchema:
    """Return the schema of an array of these."""
    schema: dict[str, object] = {"type": "array", "items": bare(items)}
    return {**schema, "$defs": definitions(items)} if definitions(items) else schema


def collection(name: str, items: JsonSchema) -> JsonSchema:
    """Return the schema of an object with one array of these."""
    return {**object_of({name: array_of(bare(items))}), "$defs": definitions(items)}


def any_of(*schemas: JsonSchema) -> JsonSchema:
    """Return the schema of a value of one of these kinds."""
    merged: dict[str, object] = {}
    for schema in schemas:
        merged |= definitions(schema)
    return {"anyOf": [bare(schema) for schema in schemas], "$defs": merged}


def named(name: str, schema: JsonSchema) -> JsonSchema:
    """Return a schema that stands under a name of its own among the definitions."""
    return {
        "$ref": f"#/$defs/{name}",
        "$defs": {**definitions(schema), name: bare(schema)},
    }


def bare(schema: JsonSchema) -> dict[str, object]:
    """Return a schema without its definitions."""
    return {key: value for key, value in schema.items() if key not in ("$defs", "$schema")}


def definitions(schema: JsonSchema) -> dict[str, object]:
    """Return the definitions that a schema carries, by name."""
    found = schema.get("$defs", {})
    assert isinstance(found, dict)
    return found


def option(options: JsonSchema, name: str) -> JsonSchema:
    """Return the schema of one option as a query parameter: without null, nothing referred to.

    Args:
        options: The schema of all options.
        name: Name of the option.
    """
    properties = options["properties"]
    assert isinstance(properties, dict)
    kind = next(kind for kind in properties[name]["anyOf"] if kind.get("type") != "null")
    reference = kind.get("$ref", "").removeprefix("#/$defs/")
    found = definitions(options)[reference] if reference else kind
    assert isinstance(found, dict)
    return {key: value for key, value in found.items() if key not in ("title", "description")}
