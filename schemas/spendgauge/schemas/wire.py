"""What have all models of lines and entries in common, and how are the keys of compacted topics written?"""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["WireModel", "compact_json"]


class WireModel(BaseModel):
    """What is on a topic: no field that is not known, no value of another type, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def compact_json(value: Any) -> str:
    """Write JSON without blanks and as it is read: the one spelling of a key."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
