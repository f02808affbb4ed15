"""How is what ``cost.watch`` keeps written? As models, in few bytes."""

from spendgauge.schemas.wire import WireModel

__all__ = ["KeptModel"]


class KeptModel(WireModel):
    """The value of an entry."""

    def encode(self) -> bytes:
        """Write it as JSON; what holds its default is left out."""
        return self.model_dump_json(exclude_defaults=True).encode()
