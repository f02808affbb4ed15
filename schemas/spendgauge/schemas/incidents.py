"""By which name does a person speak of an incident? By eight characters, where its id may be a line long."""

from hashlib import sha256

__all__ = ["short_id"]


def short_id(incident_id: str) -> str:
    """Name an incident: the first eight hex digits of its id's SHA-256, as ``spendgauge alerts ack`` takes it.

    The view ``incidents`` has the same in its column ``short_id``.
    """
    return sha256(incident_id.encode()).hexdigest()[:8]
