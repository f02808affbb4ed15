"""Which incident, or which silence, does a person mean? Ids are long, so the first characters will do."""

from collections.abc import Sequence

from clickhouse_connect.driver.client import Client

from spendgauge.deploy.alerts.listing import in_short
from spendgauge.deploy.alerts.words import Words
from spendgauge.deploy.tail.lines import moment
from spendgauge.insights.incidents import Incident, fetch_incidents, incidents_named, incidents_of
from spendgauge.schemas import ConfigurationError
from spendgauge.schemas.incidents import short_id
from spendgauge.schemas.silences import Acknowledgement, Silence

__all__ = ["find_incident", "find_word"]

_MOST_TOLD = 5


def find_incident(client: Client, name: str) -> Incident:
    """Find the incident that is up under this id, or whose short id begins so.

    Raises ``ConfigurationError`` where there is none or more than one, and says which are up; ``QueryError``.
    """
    found = fetch_incidents(client, incidents_named(name)) if name else []
    up = [incident for incident in found if incident.resolved_at_ms is None]
    if len(up) == 1:
        return up[0]
    if up:
        raise ConfigurationError(f"{name!r} may be any of {_named(up)}; write more of it")
    if len(found) == 1 and found[0].resolved_at_ms is not None:
        raise ConfigurationError(f"incident {found[0].short_id} was over at {moment(found[0].resolved_at_ms)} UTC")
    known = fetch_incidents(client, incidents_of(None, severity="info"))
    there = f"up are {_named(known)}" if known else "nothing is up"
    raise ConfigurationError(f"no incident {name!r} is up; {there}")


def find_word(words: Words, name: str) -> Silence | Acknowledgement:
    """Find the silence of this id, or the acknowledgement of an incident of this id or short id.

    Raises ``ConfigurationError`` where there is none, and says which silences there are.
    """
    for silence in words.silences:
        if silence.silence_id == name:
            return silence
    for word in words.acknowledgements:
        if name in {word.incident_id, short_id(word.incident_id)}:
            return word
    known = ", ".join(silence.silence_id for silence in words.silences)
    raise ConfigurationError(f"there is no silence {name!r}; " + (f"there are {known}" if known else "there is none"))


def _named(incidents: Sequence[Incident]) -> str:
    told = [f"{one.short_id} ({in_short(one)})" for one in incidents[:_MOST_TOLD]]
    more = len(incidents) - len(told)
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")
