-- What do people read? The tables with repeated and outdated rows left out.

CREATE VIEW IF NOT EXISTS usage ${on_cluster} AS
SELECT
    event_id, source, seq, kind, adjusts, occurred_at, started_at,
    provider, model, request_model, operation, service_tier, response_id, usage_source, usage_convention,
    input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens,
    input_audio_tokens, output_audio_tokens, reasoning_tokens, web_search_requests,
    total_tokens, reported_total_tokens,
    status, error_type, attempt, latency_ms, ttft_ms, quality_score,
    tenant, team, environment, service, feature, agent, user_id, session_id, api_key_id, entity_id, tags,
    reported_cost_usd, cost_usd, price_version,
    stream, partition, offset, line, received_at, stored_at
FROM usage_events FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE VIEW IF NOT EXISTS rates ${on_cluster} AS
SELECT
    series, key,
    mapFromArrays(if(series = 'total', [], splitByChar('+', series)), key) AS dimensions,
    pane_start, pane_seconds, requests, errors, unpriced,
    input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens,
    input_audio_tokens, output_audio_tokens, reasoning_tokens, web_search_requests,
    input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
        + output_tokens + input_audio_tokens + output_audio_tokens AS total_tokens,
    cost_usd,
    cost_usd * 3600 / pane_seconds AS cost_usd_per_hour
FROM
(
    SELECT
        series, key, pane_start, pane_seconds,
        sum(c.requests) AS requests, sum(c.errors) AS errors, sum(c.unpriced) AS unpriced,
        sum(c.input_tokens) AS input_tokens, sum(c.cache_read_tokens) AS cache_read_tokens,
        sum(c.cache_write_5m_tokens) AS cache_write_5m_tokens, sum(c.cache_write_1h_tokens) AS cache_write_1h_tokens,
        sum(c.output_tokens) AS output_tokens,
        sum(c.input_audio_tokens) AS input_audio_tokens, sum(c.output_audio_tokens) AS output_audio_tokens,
        sum(c.reasoning_tokens) AS reasoning_tokens, sum(c.web_search_requests) AS web_search_requests,
        sum(c.cost_usd) AS cost_usd
    FROM cost_rates AS c FINAL
    GROUP BY series, key, pane_start, pane_seconds
    SETTINGS do_not_merge_across_partitions_select_final = 1
);

CREATE VIEW IF NOT EXISTS rejected ${on_cluster} AS
SELECT
    topic, stream, partition, offset, line, received_at, reason, detail, rejected_by, key, value, headers, stored_at
FROM usage_rejected FINAL;

CREATE VIEW IF NOT EXISTS gaps ${on_cluster} AS
SELECT
    source, first_seq, last_seq, last_seq - first_seq + 1 AS missing, opened_at, stream, partition, opened_offset,
    stored_at
FROM source_gaps FINAL
ARRAY JOIN
    gap_first_seq AS first_seq, gap_last_seq AS last_seq, gap_opened_offset AS opened_offset,
    gap_opened_at AS opened_at;
