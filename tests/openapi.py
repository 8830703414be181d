"""The merged OpenAPI document of all HTTP functions."""

from pathlib import Path
from typing import Any

from alphapulse.runtime.openapi import merged
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.serving import build_function
from alphapulse.runtime.settings import Settings
from tests.processes import function_names, is_http


def public_document(folder: Path, signing_key: bytes) -> dict[str, Any]:
    """Build every HTTP function in process and merge what they say of themselves."""
    key = folder / "key.pem"
    key.write_bytes(signing_key)
    documents = {}
    for name in function_names():
        if is_http(name):
            app: Any = build_function(Resources(Settings(function=name, token_signing_key_file=key)))
            documents[name] = app.openapi()
    return merged(documents)
