"""The OpenAPI document, made from the endpoints themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from http import HTTPStatus
from typing import Any

from api.endpoint import Content, EndpointOn, JsonSchema, Parameter
from api.problems import PROBLEM_MEDIA_TYPE

_SCHEMAS = "#/components/schemas/"

_PROBLEM_SCHEMA: JsonSchema = {
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "message"],
    "properties": {
        "type": {"type": "string", "description": "URI of the kind of problem."},
        "title": {"type": "string", "description": "The kind of problem, in words."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What is wrong with this request."},
        "instance": {"type": "string", "description": "The path that was asked."},
        "message": {"type": "string", "description": "As detail, for clients of Inferno."},
        "errors": {
            "type": "array",
            "description": "Each thing wrong with the input.",
            "items": {
                "type": "object",
                "required": ["path", "message", "allowed"],
                "properties": {
                    "path": {"type": "string", "description": "Where in the document."},
                    "message": {"type": "string"},
                    "allowed": {"type": "string", "description": "What would be accepted."},
                },
            },
        },
    },
}

_PROBLEM_EXAMPLE: Mapping[str, object] = {
    "type": "urn:stoker:problem:invalid-input",
    "title": "The input was refused",
    "status": 422,
    "detail": "servers[0].min_replicas: -1 is out of bounds (allowed: a whole number, at least 0)",
    "instance": "/v1/plan",
    "message": "servers[0].min_replicas: -1 is out of bounds (allowed: a whole number, at least 0)",
    "errors": [
        {
            "path": "servers[0].min_replicas",
            "message": "-1 is out of bounds",
            "allowed": "a whole number, at least 0",
        }
    ],
}

_ALWAYS = (HTTPStatus.BAD_REQUEST,)
_WITH_BODY = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE,)


_SUMMARY = "Plans LLM inference fleets."
_DESCRIPTION = (
    "The native interface stands under /v1. The verbs at the root are those of the "
    "Inferno optimizer, for its clients. Errors are problem details (RFC 9457)."
)


def openapi_document(
    endpoints: Iterable[EndpointOn[Any]],
    *,
    version: str,
    summary: str = _SUMMARY,
    description: str = _DESCRIPTION,
) -> dict[str, object]:
    """Return the OpenAPI 3.1 document of these endpoints.

    Args:
        endpoints: What is served.
        version: Version of Stoker.
        summary: What the service does.
        description: What there is to know of it.
    """
    schemas: dict[str, object] = {"Problem": deepcopy(_PROBLEM_SCHEMA)}
    paths: dict[str, dict[str, object]] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, schemas)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stoker",
            "version": version,
            "summary": summary,
            "description": description,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Problem": {
                    "description": "Why there is no answer, as problem details.",
                    "content": {
                        PROBLEM_MEDIA_TYPE: {
                            "schema": {"$ref": f"{_SCHEMAS}Problem"},
                            "examples": {"refused": {"value": _PROBLEM_EXAMPLE}},
                        }
                    },
                }
            },
        },
    }


def _operation(endpoint: EndpointOn[Any], schemas: dict[str, object]) -> dict[str, object]:
    problem = {"$ref": "#/components/responses/Problem"}
    refusals = {*_ALWAYS, *endpoint.refusals, *(_WITH_BODY if endpoint.body else ())}
    responses: dict[str, object] = {
        str(int(endpoint.success)): {
            "description": endpoint.reply.description,
            "content": _content(endpoint.reply, schemas),
        }
    }
    responses |= {str(int(status)): problem for status in sorted(refusals)}
    responses["5XX"] = problem
    operation: dict[str, object] = {
        "operationId": endpoint.operation_id,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "description": endpoint.description or endpoint.summary,
        "parameters": [_parameter(parameter) for parameter in endpoint.parameters],
        "responses": responses,
    }
    if endpoint.body is not None:
        operation["requestBody"] = {
            "description": endpoint.body.description,
            "required": endpoint.body.required,
            "content": _content(endpoint.body, schemas),
        }
    return operation


def _parameter(parameter: Parameter) -> dict[str, object]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": dict(parameter.schema),
        "example": parameter.example,
    }


def _content(content: Content, schemas: dict[str, object]) -> dict[str, object]:
    return {
        content.media_type: {
            "schema": _hoisted(content.schema, schemas),
            "examples": {name: {"value": value} for name, value in content.examples.items()},
        }
    }


def _hoisted(schema: JsonSchema, schemas: dict[str, object]) -> object:
    """Return a schema whose definitions stand among the document's own."""
    inner = {key: value for key, value in schema.items() if key not in ("$defs", "$schema", "$id")}
    definitions = schema.get("$defs", {})
    if isinstance(definitions, dict):
        for name, definition in definitions.items():
            schemas.setdefault(name, _referring(definition))
    return _referring(inner)


def _referring(node: object) -> object:
    if isinstance(node, dict):
        return {
            key: value.replace("#/$defs/", _SCHEMAS)
            if key == "$ref" and isinstance(value, str)
            else _referring(value)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_referring(child) for child in node]
    return node
