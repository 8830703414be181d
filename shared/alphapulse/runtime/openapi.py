"""One OpenAPI 3.1 document out of the documents of all HTTP functions."""

import json
from collections.abc import Mapping
from typing import Any

_METHODS = ("get", "put", "post", "delete", "patch", "options", "head")
_PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance", "code", "trace_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "description": "Stable, snake_case."},
        "trace_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "loc": {"type": "array", "items": {"type": "string"}},
                    "msg": {"type": "string"},
                },
            },
        },
    },
}
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "alphapulse_access",
        "description": "A browser's login; a change also needs the header X-CSRF-Token.",
    },
}
_PROBLEM_ANSWER = {
    "description": "Refused or failed",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def merged(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the public document.

    Parameters
    ----------
    documents
        Function name to its own OpenAPI document. Schemas of the same name in two functions are
        told apart by the function's name.
    """
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    for function, document in sorted(documents.items()):
        own = _with_own_names(function, document)
        schemas |= own["components"]["schemas"]
        for path, item in own["paths"].items():
            paths[path] = {m: _operation(o, function) for m, o in item.items() if m in _METHODS}
    for foreign in ("HTTPValidationError", "ValidationError"):
        schemas = {name: s for name, s in schemas.items() if not name.endswith(foreign)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "AlphaPulse", "version": "1"},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": _SECURITY,
        },
    }


def _with_own_names(function: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Prefix schema names with the function's name, in definitions and references alike."""
    prefix = "".join(part.capitalize() for part in function.split("_"))
    text = json.dumps(document).replace("#/components/schemas/", f"#/components/schemas/{prefix}")
    own: dict[str, Any] = json.loads(text)
    schemas = own.get("components", {}).get("schemas", {})
    own["components"] = {"schemas": {f"{prefix}{name}": schema for name, schema in schemas.items()}}
    return own


def _operation(operation: Mapping[str, Any], function: str) -> dict[str, Any]:
    responses = {status: answer for status, answer in operation["responses"].items() if status != "422"}
    return {**operation, "tags": [function], "responses": {**responses, "default": _PROBLEM_ANSWER}}
