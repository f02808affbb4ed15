"""How much text is in a request or an answer, where nobody has counted its tokens? Lengths alone are taken."""

from typing import Any, Final

__all__ = ["characters_in"]

_NO_TEXT: Final = frozenset(
    {
        "b64_json",
        "cache_control",
        "created",
        "data",
        "embedding",
        "encrypted_content",
        "file_data",
        "file_id",
        "finish_reason",
        "format",
        "id",
        "image_url",
        "media_type",
        "metadata",
        "model",
        "object",
        "role",
        "safety_identifier",
        "service_tier",
        "signature",
        "status",
        "stop_reason",
        "system_fingerprint",
        "type",
        "url",
        "user",
    }
)
"""Members whose text no model reads as text: names, ids, pictures and files."""


def characters_in(value: Any) -> int:
    """Add up the lengths of the texts in a JSON value, without names, ids, pictures and files."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(characters_in, value))
    if isinstance(value, dict):
        return sum(characters_in(entry) for name, entry in value.items() if name not in _NO_TEXT)
    return 0
