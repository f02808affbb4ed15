"""What becomes of the alerts that are up when a broker is gone for good? They are resolved: nobody watches them now.

What the embedded broker forgets, the watcher's memory is part of. Whatever is still there is raised anew.
"""

from collections.abc import Iterable

from clickhouse_connect.driver.exceptions import Error

from spendgauge.schemas import ClickHouseSettings, UnavailableError
from spendgauge.sinks.clickhouse import connect, parse_address, reason_of

__all__ = ["resolve_alerts"]

_RESOLVE = """INSERT INTO cost_alerts (alert_id, incident_id, rule, state, severity, series, key, onset, evaluated_at,
    window_seconds, since_onset_usd, driver, message, stream, received_at)
SELECT alert_id, incident_id, rule, 'resolved', severity, series, key, onset,
    greatest(now64(3, 'UTC'), evaluated_at + INTERVAL 1 SECOND), window_seconds, since_onset_usd, driver,
    'The broker is another now, so nobody watches this any more; if it is still so, it is raised anew.',
    stream, now64(3, 'UTC')
FROM alerts_now
WHERE has({streams:Array(String)}, stream)"""


def resolve_alerts(settings: ClickHouseSettings, streams: Iterable[str]) -> int:
    """Resolve in the table what these ended streams of ``cost.alerts`` left up; return how many alerts that were.

    Nothing may write to these streams meanwhile. Raises ``UnavailableError`` where ClickHouse does not answer.
    """
    client = connect(settings)
    try:
        done = client.query(_RESOLVE, {"streams": list(streams)})
    except Error as error:
        address = parse_address(settings.clickhouse)
        raise UnavailableError(f"ClickHouse at {address} does not resolve ended alerts: {reason_of(error)}") from None
    finally:
        client.close()
    return int(done.summary.get("written_rows", 0))
