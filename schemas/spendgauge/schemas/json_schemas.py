"""What does the wire look like to other languages? JSON Schema files, written from the models.

``python -m spendgauge.schemas.json_schemas --write`` writes them. A published version never changes: a test holds each
file's digest, and a new shape is a new version with a file of its own.
"""

import json
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import CoreSchema

from spendgauge.schemas.alerts import ALERTS_SCHEMA, Alert
from spendgauge.schemas.ends import END_SCHEMA, SourceEnd
from spendgauge.schemas.events import USAGE_SCHEMA, UsageEvent
from spendgauge.schemas.notifications import NOTIFICATION_SCHEMA, Notification
from spendgauge.schemas.positions import GAPS_SCHEMA, SourceGaps
from spendgauge.schemas.quotas import QUOTAS_SCHEMA, QuotaLine
from spendgauge.schemas.rates import RATES_SCHEMA, RateContribution
from spendgauge.schemas.refusals import REFUSALS_SCHEMA, QuotaRefusal
from spendgauge.schemas.rejects import REJECTED_SCHEMA, RejectedEvent
from spendgauge.schemas.silences import ACKNOWLEDGEMENT_SCHEMA, SILENCE_SCHEMA, Acknowledgement, Silence

__all__ = ["MODELS", "main", "published", "schema_file_name", "schema_text"]

MODELS: Final[dict[str, type[BaseModel]]] = {
    USAGE_SCHEMA: UsageEvent,
    END_SCHEMA: SourceEnd,
    RATES_SCHEMA: RateContribution,
    REJECTED_SCHEMA: RejectedEvent,
    ALERTS_SCHEMA: Alert,
    GAPS_SCHEMA: SourceGaps,
    QUOTAS_SCHEMA: QuotaLine,
    REFUSALS_SCHEMA: QuotaRefusal,
    SILENCE_SCHEMA: Silence,
    ACKNOWLEDGEMENT_SCHEMA: Acknowledgement,
    NOTIFICATION_SCHEMA: Notification,
}
"""The current version of each schema, by the name in a record's header."""


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that only repeat the fields' names."""

    def field_title_should_be_set(self, schema: CoreSchema) -> bool:  # noqa: ARG002  # the base class passes it
        return False


def schema_file_name(name: str) -> str:
    """Name the file of a schema: ``spendgauge.usage/1`` is in ``spendgauge.usage-1.schema.json``."""
    return f"{name.replace('/', '-')}.schema.json"


def schema_text(name: str) -> str:
    """Write the schema as its model has it now."""
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{name.replace('.', ':').replace('/', ':')}",
        **MODELS[name].model_json_schema(schema_generator=_Untitled),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def published() -> Traversable:
    """Find the folder of the schema files in the installed package."""
    return files("spendgauge.schemas") / "json"


def main(arguments: list[str]) -> int:
    """Write the files with ``--write``; else name those that differ from the models, and exit with 1 if any does."""
    folder = Path(str(published()))
    stale = []
    for name in MODELS:
        path = folder / schema_file_name(name)
        text = schema_text(name)
        if arguments == ["--write"]:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        print(f"{', '.join(stale)} differ from the models; a published version never changes: raise its number")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
