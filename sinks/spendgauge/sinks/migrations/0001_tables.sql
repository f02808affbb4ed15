-- What is kept? Every event once, every contribution in its highest edition and version, every rejected line, and where
-- each source stands.
--
-- ReplacingMergeTree keeps one row for each sorting key, so an insert may be repeated at will. The sorting keys hold
-- only what can never change. Until parts are merged both rows are there: read the views, or write FINAL.
-- ${replacing:x} becomes ReplacingMergeTree(x), or its replicated form; ${on_cluster} becomes empty, or ON CLUSTER.

CREATE TABLE IF NOT EXISTS usage_events ${on_cluster}
(
    event_id UUID CODEC(ZSTD(1)),
    source LowCardinality(String) COMMENT 'producer instance; empty: a foreign writer',
    seq Nullable(Int64) CODEC(Delta, ZSTD(1)) COMMENT 'contiguous per source from 0',
    kind LowCardinality(String) COMMENT 'usage, or a signed adjustment',
    adjusts Nullable(UUID) CODEC(ZSTD(1)) COMMENT 'the event that an adjustment corrects',
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'end of the response, caller''s clock',
    started_at Nullable(DateTime64(3, 'UTC')) CODEC(Delta, ZSTD(1)) COMMENT 'start of the request, caller''s clock',
    provider LowCardinality(String),
    model LowCardinality(String) COMMENT 'the model that answered',
    request_model LowCardinality(String) COMMENT 'the model that was asked for',
    operation LowCardinality(String),
    service_tier LowCardinality(String),
    response_id String CODEC(ZSTD(1)),
    usage_source LowCardinality(String),
    usage_convention LowCardinality(String),
    input_tokens Int64 CODEC(T64, ZSTD(1)) COMMENT 'uncached; token columns are disjoint',
    cache_read_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_write_5m_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_write_1h_tokens Int64 CODEC(T64, ZSTD(1)),
    output_tokens Int64 CODEC(T64, ZSTD(1)),
    input_audio_tokens Int64 CODEC(T64, ZSTD(1)),
    output_audio_tokens Int64 CODEC(T64, ZSTD(1)),
    reasoning_tokens Int64 CODEC(T64, ZSTD(1)) COMMENT 'of which output_tokens; never add it to a sum',
    web_search_requests Int64 CODEC(T64, ZSTD(1)),
    reported_total_tokens Nullable(Int64) CODEC(T64, ZSTD(1)) COMMENT 'the provider''s own total',
    status LowCardinality(String),
    error_type LowCardinality(String),
    attempt UInt32 CODEC(T64, ZSTD(1)),
    latency_ms Nullable(Int32) CODEC(T64, ZSTD(1)),
    ttft_ms Nullable(Int32) CODEC(T64, ZSTD(1)),
    quality_score Nullable(Float64) CODEC(ZSTD(1)),
    tenant LowCardinality(String),
    team LowCardinality(String),
    environment LowCardinality(String),
    service LowCardinality(String),
    feature LowCardinality(String),
    agent LowCardinality(String),
    user_id String CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    api_key_id LowCardinality(String),
    entity_id String CODEC(ZSTD(1)),
    tags Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    reported_cost_usd Nullable(Decimal(18, 12)) CODEC(ZSTD(1)) COMMENT 'what the provider says',
    cost_usd Nullable(Decimal(18, 12)) CODEC(GCD, T64, ZSTD(1)) COMMENT 'NULL: no price is known for the model',
    price_version LowCardinality(String) COMMENT 'the price book that priced it; empty: unpriced',
    total_tokens Int64 ALIAS input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
        + output_tokens + input_audio_tokens + output_audio_tokens,
    stream LowCardinality(String) COMMENT 'topic id and block size: what offset means',
    partition UInt32 CODEC(T64, ZSTD(1)),
    offset UInt64 CODEC(Delta, ZSTD(1)),
    line UInt32 CODEC(T64, ZSTD(1)) COMMENT 'within the record, from 0',
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'broker''s clock',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'this server''s clock',
    precedence UInt64 MATERIALIZED bitNot(bitOr(bitShiftLeft(offset, 20), toUInt64(line))) CODEC(Delta, ZSTD(1))
        COMMENT 'of several rows with one key the earliest in the log stays',
    INDEX by_event_id event_id TYPE bloom_filter(0.025),
    INDEX by_user_id user_id TYPE bloom_filter(0.025),
    INDEX by_session_id session_id TYPE bloom_filter(0.025),
    INDEX by_entity_id entity_id TYPE bloom_filter(0.025),
    INDEX by_offset offset TYPE minmax,
    INDEX by_stored_at stored_at TYPE minmax,
    CONSTRAINT occurred_at_is_sane CHECK occurred_at >= '2020-01-01 00:00:00' AND occurred_at < '2100-01-01 00:00:00'
)
ENGINE = ${replacing:precedence}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (toStartOfHour(occurred_at), event_id)
SETTINGS ttl_only_drop_parts = 1
COMMENT 'usage events as read from the log; read the view usage';

CREATE TABLE IF NOT EXISTS cost_rates ${on_cluster}
(
    series LowCardinality(String) COMMENT 'dimensions joined by +, or total',
    key Array(String) CODEC(ZSTD(1)) COMMENT 'the dimensions'' values',
    pane_start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'the pane is [pane_start, pane_start + pane_seconds)',
    pane_seconds UInt32 CODEC(T64, ZSTD(1)),
    stream LowCardinality(String) COMMENT 'of the events: topic id and block size',
    partition UInt32 CODEC(T64, ZSTD(1)),
    block UInt64 CODEC(T64, ZSTD(1)) COMMENT 'offset divided by the block size',
    edition UInt16 CODEC(T64, ZSTD(1)) COMMENT 'how often the price book changed; the highest stays',
    version UInt64 CODEC(T64, ZSTD(1)) COMMENT 'the last offset included; the highest of the edition stays',
    requests Int64 CODEC(T64, ZSTD(1)),
    errors Int64 CODEC(T64, ZSTD(1)),
    unpriced Int64 CODEC(T64, ZSTD(1)) COMMENT 'events of models without a known price',
    input_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_read_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_write_5m_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_write_1h_tokens Int64 CODEC(T64, ZSTD(1)),
    output_tokens Int64 CODEC(T64, ZSTD(1)),
    input_audio_tokens Int64 CODEC(T64, ZSTD(1)),
    output_audio_tokens Int64 CODEC(T64, ZSTD(1)),
    web_search_requests Int64 CODEC(T64, ZSTD(1)),
    reasoning_tokens Int64 CODEC(T64, ZSTD(1)) COMMENT 'of which output_tokens; never add it to a sum',
    cost_usd Decimal(38, 12) CODEC(ZSTD(1)) COMMENT 'of the priced events',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'this server''s clock',
    precedence UInt64 MATERIALIZED bitOr(bitShiftLeft(toUInt64(edition), 48), version) CODEC(T64, ZSTD(1))
        COMMENT 'of several rows with one key the highest (edition, version) stays',
    CONSTRAINT pane_start_is_sane CHECK pane_start >= '2020-01-01 00:00:00' AND pane_start < '2100-01-01 00:00:00'
)
ENGINE = ${replacing:precedence}
PARTITION BY toYYYYMM(pane_start)
PRIMARY KEY (series, pane_seconds, pane_start)
ORDER BY (series, pane_seconds, pane_start, key, stream, partition, block)
SETTINGS ttl_only_drop_parts = 1
COMMENT 'contributions of log blocks to panes; read the view rates';

CREATE TABLE IF NOT EXISTS usage_rejected ${on_cluster}
(
    topic LowCardinality(String) COMMENT 'where the line stood',
    stream LowCardinality(String) COMMENT 'topic id and block size: what offset means',
    partition UInt32,
    offset UInt64,
    line UInt32 COMMENT 'within the record, from 0; 0 too for a whole record',
    received_at DateTime64(3, 'UTC') COMMENT 'broker''s clock',
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)) COMMENT 'a sentence: what is wrong, with which value',
    rejected_by LowCardinality(String) COMMENT 'rates: not a usage event; sink: cannot be stored',
    key Nullable(String) CODEC(ZSTD(1)) COMMENT 'of the record',
    value String CODEC(ZSTD(1)) COMMENT 'the original bytes',
    headers Array(Tuple(name String, value Nullable(String))) CODEC(ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'this server''s clock'
)
ENGINE = ${replacing:}
ORDER BY (topic, stream, partition, offset, line)
COMMENT 'lines that are not kept elsewhere, whole; read the view rejected';

CREATE TABLE IF NOT EXISTS source_gaps ${on_cluster}
(
    source String COMMENT 'producer instance',
    stream LowCardinality(String) COMMENT 'of the events: topic id and block size',
    partition UInt32,
    version UInt64 COMMENT 'the last offset included; the highest stays',
    next_seq UInt64 COMMENT 'one more than the highest sequence number seen',
    gap_first_seq Array(Int64) COMMENT 'what is missing now: the first of each run of numbers',
    gap_last_seq Array(Int64) COMMENT 'and the last',
    gap_opened_offset Array(Int64) COMMENT 'the event that jumped over them; parts of one gap share it',
    gap_opened_at Array(DateTime64(3, 'UTC')) COMMENT 'when that event came, broker''s clock',
    repeats UInt64 COMMENT 'events that came again and were not counted again',
    shared UInt8 COMMENT '1: two producers use the name, or it has too many gaps; none is claimed',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'this server''s clock'
)
ENGINE = ${replacing:version}
ORDER BY (source, stream, partition)
COMMENT 'where each source stands that ever lacked or repeated events; read the view gaps';
