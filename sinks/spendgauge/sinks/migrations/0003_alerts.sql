-- What was alerted, and what was refused? Every step of every alert once, and every call that a quota refused or warned
-- of; and what follows from the steps: which alerts are up, and which belonged together.

CREATE TABLE IF NOT EXISTS cost_alerts ${on_cluster}
(
    alert_id String CODEC(ZSTD(1)) COMMENT 'a function of rule, series, key and onset',
    incident_id String CODEC(ZSTD(1)) COMMENT 'the alert_id of the firing parent it joined, or its own',
    rule LowCardinality(String) COMMENT 'spike, budget, gap and so on',
    state LowCardinality(String) COMMENT 'which step this is: raised, escalated, resolved',
    severity LowCardinality(String) COMMENT 'info (kept, never sent), warn, page',
    series LowCardinality(String) COMMENT 'dimensions joined by +, or total',
    key Array(String) CODEC(ZSTD(1)) COMMENT 'the dimensions'' values',
    onset DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'the minute it began in, callers'' clock',
    evaluated_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'the end of the pane that decided, callers'' clock',
    window_seconds UInt32 CODEC(T64, ZSTD(1)) COMMENT 'the window ends at evaluated_at',
    usual_usd Decimal(38, 12) CODEC(ZSTD(1)) COMMENT 'what the key usually costs in a window',
    seen_usd Decimal(38, 12) CODEC(ZSTD(1)) COMMENT 'what it cost in this window',
    excess_usd Decimal(38, 12) CODEC(ZSTD(1)) COMMENT 'seen_usd - usual_usd',
    excess_usd_per_hour Decimal(38, 12) CODEC(ZSTD(1)),
    since_onset_usd Decimal(38, 12) CODEC(ZSTD(1)) COMMENT 'the excess since onset',
    driver LowCardinality(String) COMMENT 'what raised the cost: requests, size, both, none',
    contributor_series Array(String) CODEC(ZSTD(1)) COMMENT 'the keys that the excess came from, the largest first',
    contributor_key Array(Array(String)) CODEC(ZSTD(1)),
    contributor_excess_usd Array(Decimal(38, 12)) CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)) COMMENT 'one sentence',
    stream LowCardinality(String) COMMENT 'of cost.alerts: topic id and block size; what offset means',
    partition UInt32 CODEC(T64, ZSTD(1)),
    offset UInt64 CODEC(Delta, ZSTD(1)),
    line UInt32 CODEC(T64, ZSTD(1)) COMMENT 'within the record, from 0',
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'when it was sent, watcher''s clock',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'this server''s clock',
    precedence UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Milli(received_at))) CODEC(Delta, ZSTD(1))
        COMMENT 'of a step that was said twice the first saying stays',
    INDEX by_incident_id incident_id TYPE bloom_filter(0.025),
    CONSTRAINT evaluated_at_is_sane
        CHECK evaluated_at >= '2020-01-01 00:00:00' AND evaluated_at < '2100-01-01 00:00:00',
    CONSTRAINT onset_is_sane CHECK onset >= '2020-01-01 00:00:00' AND onset < '2100-01-01 00:00:00'
)
ENGINE = ${replacing:precedence}
PARTITION BY toYYYYMM(evaluated_at)
ORDER BY (evaluated_at, alert_id, state, severity)
SETTINGS ttl_only_drop_parts = 1
COMMENT 'steps of alerts; read the views alerts, alerts_now, incidents';

CREATE VIEW IF NOT EXISTS alerts ${on_cluster} AS
SELECT
    alert_id, incident_id, rule, state, severity, series, key,
    mapFromArrays(arrayResize(splitByChar('+', toString(series)), length(key), ''), key) AS dimensions,
    onset, evaluated_at, window_seconds,
    usual_usd, seen_usd, excess_usd, excess_usd_per_hour, since_onset_usd, driver,
    CAST(
        arrayZip(contributor_series, contributor_key, contributor_excess_usd),
        'Array(Tuple(series String, key Array(String), excess_usd Decimal(38, 12)))'
    ) AS contributors,
    message,
    stream, partition, offset, line, received_at, stored_at
FROM cost_alerts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE VIEW IF NOT EXISTS alerts_now ${on_cluster} AS
SELECT
    alert_id, incident_id, rule, severity, series, key, dimensions, onset, raised_at, evaluated_at, window_seconds,
    usual_usd, seen_usd, excess_usd, excess_usd_per_hour, since_onset_usd, driver, contributors, message, stream
FROM
(
    SELECT *, min(evaluated_at) OVER (PARTITION BY alert_id) AS raised_at
    FROM alerts
    ORDER BY evaluated_at DESC, indexOf(['raised', 'escalated', 'resolved'], state) DESC, received_at DESC
    LIMIT 1 BY alert_id
)
WHERE state != 'resolved';

CREATE VIEW IF NOT EXISTS incidents ${on_cluster} AS
SELECT
    incident_id,
    lower(hex(substring(SHA256(incident_id), 1, 4))) AS short_id,
    root.rule AS rule,
    ['info', 'warn', 'page'][lives.severest] AS severity,
    root.series AS series,
    root.key AS key,
    root.dimensions AS dimensions,
    lives.began_at AS onset,
    lives.first_at AS raised_at,
    if(lives.alerts_up > 0, NULL, lives.last_at) AS resolved_at,
    lives.alerts AS alerts,
    lives.alerts_up AS up,
    lives.since_onset_usd AS since_onset_usd,
    root.excess_usd_per_hour AS excess_usd_per_hour,
    root.driver AS driver,
    root.contributors AS contributors,
    root.message AS message
FROM
(
    SELECT
        incident_id,
        max(alert.severest) AS severest,
        min(alert.began_at) AS began_at,
        min(alert.first_at) AS first_at,
        max(alert.last_at) AS last_at,
        count() AS alerts,
        countIf(alert.last_state != 'resolved') AS alerts_up,
        sumIf(alert.since_onset_usd, alert.alert_id = incident_id) AS since_onset_usd
    FROM
    (
        SELECT
            incident_id,
            alert_id,
            max(indexOf(['info', 'warn', 'page'], severity)) AS severest,
            min(onset) AS began_at,
            min(evaluated_at) AS first_at,
            max(evaluated_at) AS last_at,
            argMax(state, step) AS last_state,
            argMax(s.since_onset_usd, step) AS since_onset_usd
        FROM
        (
            SELECT
                incident_id, alert_id, severity, onset, evaluated_at, state, since_onset_usd,
                toUnixTimestamp64Milli(evaluated_at) * 4 + indexOf(['raised', 'escalated', 'resolved'], state) AS step
            FROM alerts
        ) AS s
        GROUP BY incident_id, alert_id
    ) AS alert
    GROUP BY incident_id
) AS lives
INNER JOIN
(
    SELECT incident_id, rule, series, key, dimensions, excess_usd_per_hour, driver, contributors, message
    FROM alerts
    ORDER BY alert_id != incident_id, state = 'resolved', evaluated_at DESC, state
    LIMIT 1 BY incident_id
) AS root USING incident_id;

CREATE TABLE IF NOT EXISTS cost_refusals ${on_cluster}
(
    refusal_id UUID CODEC(ZSTD(1)),
    refused_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'clock of whoever refused',
    action LowCardinality(String) COMMENT 'refused, or warned: the call was made all the same',
    reason LowCardinality(String) COMMENT 'hard, soft: the limit; unknown: nobody knew what was spent',
    quota LowCardinality(String) COMMENT 'its name in budgets.toml; empty: unknown',
    series LowCardinality(String) COMMENT 'dimensions joined by +, or total',
    key Array(String) CODEC(ZSTD(1)) COMMENT 'the dimensions'' values: whose quota it is',
    unit LowCardinality(String) COMMENT 'of the amounts: usd or tokens',
    quota_limit Nullable(Decimal(38, 12)) CODEC(ZSTD(1)) COMMENT 'the limit that was reached',
    spent Decimal(38, 12) CODEC(ZSTD(1)) COMMENT 'what was known to be spent in the period',
    reserved Decimal(38, 12) CODEC(ZSTD(1)) COMMENT 'for calls of that process that were not yet in spent',
    estimate Decimal(38, 12) CODEC(ZSTD(1)) COMMENT 'what the call was expected to cost',
    resets_at Nullable(DateTime64(3, 'UTC')) CODEC(Delta, ZSTD(1)) COMMENT 'NULL: a rolling period',
    source LowCardinality(String) COMMENT 'who refused',
    stream LowCardinality(String) COMMENT 'of cost.refusals: topic id and block size; what offset means',
    partition UInt32 CODEC(T64, ZSTD(1)),
    offset UInt64 CODEC(Delta, ZSTD(1)),
    line UInt32 CODEC(T64, ZSTD(1)) COMMENT 'within the record, from 0',
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'when it was sent',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'this server''s clock',
    CONSTRAINT refused_at_is_sane CHECK refused_at >= '2020-01-01 00:00:00' AND refused_at < '2100-01-01 00:00:00'
)
ENGINE = ${replacing:}
PARTITION BY toYYYYMM(refused_at)
ORDER BY (refused_at, refusal_id)
SETTINGS ttl_only_drop_parts = 1
COMMENT 'calls that a quota refused or warned of; read the view refusals';

CREATE VIEW IF NOT EXISTS refusals ${on_cluster} AS
SELECT
    refusal_id, refused_at, action, reason, quota, series, key,
    mapFromArrays(if(series = 'total', [], splitByChar('+', toString(series))), key) AS dimensions,
    unit, quota_limit, spent, reserved, estimate, resets_at, source,
    stream, partition, offset, line, received_at, stored_at
FROM cost_refusals FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;
