"""Does a log become the events that it tells of? Times, units, models, and what is wrong with the rest."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from spendgauge.deploy.replay.batches import LINE, Problem
from spendgauge.deploy.replay.log import Log, look_through, read_log
from spendgauge.deploy.replay.mapping import FieldMapping, parse_pairs
from spendgauge.schemas import ConfigurationError

NOON_MS = 1_767_268_800_000
"""2026-01-01T12:00:00Z"""


def replayed(path: Path, *columns: str, **options: list[str]) -> tuple[pl.DataFrame, list[Problem], Log]:
    log = look_through(path, FieldMapping.parse(columns, **options))
    parts = list(read_log(log))
    frames = pl.concat([frame for frame, _ in parts], how="diagonal")
    return frames, [problem for _, found in parts for problem in found], log


def csv(folder: Path, text: str, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_columns_become_fields(tmp_path: Path, name: str) -> None:
    """A column that bears a field's name is that field, --columns names others, the rest is ignored."""
    path = csv(tmp_path, "ts,key,model,input_tokens,noise\n1767268800,u1,openai/gpt-5,12,x\n", name)
    frame, problems, _ = replayed(path, "occurred_at=ts,user_id=key")
    assert problems == []
    assert frame.rows(named=True) == [
        {
            LINE: 2,
            "occurred_at_ms": NOON_MS,
            "user_id": "u1",
            "provider": "openai",
            "model": "gpt-5",
            "input_tokens": 12,
        }
    ]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("ts", "1767268800"),
        ("ts", "1767268800.0004"),
        ("ts", "1767268800000"),
        ("ts", "1767268800000000"),
        ("ts", "1767268800000000000"),
        ("ts", "2026-01-01T12:00:00Z"),
        ("ts", "2026-01-01 12:00:00"),
        ("ts", "2026-01-01T13:00:00.000999+01:00"),
        ("at_seconds", "1767268800"),
        ("at_ms", "1767268800000"),
    ],
)
def test_times_are_understood(tmp_path: Path, column: str, text: str) -> None:
    """Seconds, milliseconds, micro- and nanoseconds since 1970 and ISO 8601, with or without a zone, are one moment."""
    path = csv(tmp_path, f"{column},model,provider\n{text},m,p\n")
    frame, problems, log = replayed(path, f"occurred_at={column}")
    assert (frame["occurred_at_ms"].to_list(), problems) == ([NOON_MS], [])
    assert (log.first_ms, log.last_ms) == (NOON_MS, NOON_MS)


def test_a_unit_in_the_name_wins(tmp_path: Path) -> None:
    """Small numbers in a column called ..._ms are milliseconds, elsewhere they are seconds."""
    path = csv(tmp_path, "timestamp_ms,when,model,provider\n0,0,m,p\n1022025,17,m,p\n")
    assert replayed(path, "occurred_at=timestamp_ms")[2].last_ms == 1_022_025
    assert replayed(path, "occurred_at=when")[2].last_ms == 17_000


def test_durations_take_the_unit_of_their_column(tmp_path: Path) -> None:
    """latency_ms from a column that ends in _s is multiplied; from any other it is milliseconds."""
    path = csv(tmp_path, "ts,model,provider,api_time_s,ttft\n1,m,p,6.625,300\n")
    frame, _, _ = replayed(path, "occurred_at=ts,latency_ms=api_time_s,ttft_ms=ttft")
    assert frame.select("latency_ms", "ttft_ms").row(0) == (6625, 300)


def test_the_range_of_a_log_is_known_before_it_is_sent(tmp_path: Path) -> None:
    """A first look finds how many rows there are, the first and last time, and whether they are in order."""
    path = csv(tmp_path, "occurred_at,model,provider\n30,m,p\n10,m,p\n20,m,p\n")
    log = replayed(path)[2]
    assert (log.rows, log.first_ms, log.last_ms, log.in_order) == (3, 10_000, 30_000, False)
    ordered = replayed(csv(tmp_path, "occurred_at,model,provider\n10,m,p\n10,m,p\n20,m,p\n"))[2]
    assert ordered.in_order


def test_models_get_their_providers(tmp_path: Path) -> None:
    """--models wins, then what the row says; a provider given alone goes with the model as it stands."""
    path = csv(tmp_path, "occurred_at,model\n1,m-large\n2,other\n3,openai/gpt-5\n")
    frame, _, _ = replayed(path, models=["m-large=anthropic/claude-sonnet-4-5"], constants=["provider=mistral"])
    assert frame.select("provider", "model").rows() == [
        ("anthropic", "claude-sonnet-4-5"),
        ("mistral", "other"),
        ("mistral", "openai/gpt-5"),
    ]


def test_a_column_wins_over_a_constant(tmp_path: Path) -> None:
    """--set fills in where the column has nothing."""
    path = csv(tmp_path, "occurred_at,model,provider,feature\n1,m,p,search\n2,m,p,\n")
    frame, _, _ = replayed(path, constants=["feature=chat,team=core"])
    assert frame.select("feature", "team").rows() == [("search", "core"), ("chat", "core")]


def test_included_cache_is_taken_out(tmp_path: Path) -> None:
    """Where the log's input includes cached tokens, the leaves become disjoint; a part above the whole is a problem."""
    path = csv(tmp_path, "occurred_at,model,provider,input_tokens,hit\n1,m,p,100,64\n2,m,p,10,11\n")
    frame, problems, _ = replayed(path, "cache_read_tokens=hit", constants=["usage_convention=inclusive"])
    assert frame.select("input_tokens", "cache_read_tokens", "usage_convention").rows() == [(36, 64, "inclusive")]
    assert problems == [Problem(3, "input_tokens 10 is less than its cached part 11")]


def test_a_log_of_disjoint_counts_stays_as_it_is(tmp_path: Path) -> None:
    """Where a column says which convention was used, as in an export of events, nothing is taken out."""
    text = "occurred_at,model,provider,input_tokens,cache_read_tokens,usage_convention\n1,m,p,36,64,inclusive\n"
    frame, _, _ = replayed(csv(tmp_path, text), constants=["usage_convention=inclusive"])
    assert frame.select("input_tokens", "cache_read_tokens").rows() == [(36, 64)]


def test_bad_rows_are_named_and_the_others_kept(tmp_path: Path) -> None:
    """A value that cannot be one is reported with its line and itself; no neighbour is lost."""
    header = "occurred_at,model,provider,input_tokens,quality_score"
    rows = ["1,m,p,7,", "2,m,p,many,", "soon,m,p,1,", "4,,p,1,", "5,m,p,1.5,", "6,m,p,8.0,best", "7,m,p,9.0,1", "8,m"]
    frame, problems, log = replayed(csv(tmp_path, "\n".join([header, *rows, ""])))
    assert frame["input_tokens"].to_list() == [7, 9]
    assert log.rows == 8
    assert {problem.line: problem.reason for problem in problems} == {
        3: "input_tokens 'many' is not a whole number",
        4: "occurred_at 'soon' is not a time",
        5: "it has no model",
        6: "input_tokens '1.5' is not a whole number",
        7: "quality_score 'best' is not a number",
        9: "it has 2 cells, and there are 5 columns",
    }


def test_a_row_without_a_provider_says_what_to_do(tmp_path: Path) -> None:
    """A model whose provider nothing tells is a problem, and the sentence names both remedies."""
    _, problems, _ = replayed(csv(tmp_path, "occurred_at,model\n1,m\n"))
    assert problems == [
        Problem(2, "it has no provider; give it with --set provider=..., or with --models MODEL=PROVIDER/MODEL")
    ]


def test_quoted_csv_is_read_as_csv_does(tmp_path: Path) -> None:
    """Quotes, commas and newlines in cells, a byte order mark, CRLF, empty lines; lines count as in the file."""
    text = '\ufeffoccurred_at,model,provider,feature\r\n1,m,p,"a, ""b""\r\nc"\r\n\r\n2,m,p,plain\r\nx,m,p,bad\r\n'
    frame, problems, _ = replayed(csv(tmp_path, text))
    assert frame.select(LINE, "feature").rows() == [(3, 'a, "b"\r\nc'), (5, "plain")]
    assert [problem.line for problem in problems] == [6]


def test_care_begins_where_it_is_needed(tmp_path: Path) -> None:
    """A quote far into a long file changes nothing for the rows around it, and numbers stay right."""
    rows = [f"{n},m,p,{'x' * 40}" for n in range(200_000)]
    rows[150_000] = '150000,m,p,"a,b"'
    rows[150_001] = "bad,m,p,x"
    frame, problems, log = replayed(csv(tmp_path, "occurred_at,model,provider,feature\n" + "\n".join(rows)))
    assert (len(frame), log.rows) == (199_999, 200_000)
    assert frame[LINE].to_list() == [line for line in range(2, 200_002) if line != 150_003]
    assert frame.filter(feature="a,b")[LINE].to_list() == [150_002]
    assert problems == [Problem(150_003, "occurred_at 'bad' is not a time")]


def test_json_lines_are_read(tmp_path: Path) -> None:
    """Nested values are named by their path; numbers, texts and nulls mean what they say; tags stay whole."""
    lines = [
        '{"at": "2026-01-01T12:00:00Z", "model": "gpt-5", "usage": {"in": 12, "out": null}, "tags": {"a": "b"}}',
        "",
        "[1]",
        '{"at": "2026-01-01T12:00:01Z", "model": "gpt-5", "usage": {"in": "13"}}',
        "{",
    ]
    path = csv(tmp_path, "\n".join(lines), "log.jsonl.gz")
    frame, problems, _ = replayed(
        path, "occurred_at=at,input_tokens=usage.in,output_tokens=usage.out", constants=["provider=openai"]
    )
    assert frame.select(LINE, "input_tokens", "output_tokens", "tags").rows() == [
        (1, 12, None, '{"a":"b"}'),
        (4, 13, None, None),
    ]
    assert [(problem.line, problem.reason.split(":")[0]) for problem in problems] == [
        (3, "it is not a JSON object"),
        (5, "it is not JSON"),
    ]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("occured_at=ts", "which is no field of an event (did you mean occurred_at?)"),
        ("occurred_at=tss", "there is no column 'tss' for occurred_at (did you mean ts?); the file has ts, model"),
        ("user_id=model", "no column is named occurred_at; say which one it is with --columns occurred_at=COLUMN"),
        ("seq=ts", "--columns cannot give seq: the producer does"),
        ("occurred_at", "--columns 'occurred_at' is not NAME=VALUE"),
        ("occurred_at=ts,occurred_at=model", "--columns gives occurred_at twice: ts and model"),
        ("occurred_at=model", "has a time in column model; nothing can be sent"),
    ],
)
def test_a_wrong_column_is_one_clear_sentence(tmp_path: Path, columns: str, expected: str) -> None:
    """A mistake in the options says what the file or the event has instead."""
    path = csv(tmp_path, "ts,model\n1,gpt-5\n")
    with pytest.raises(ConfigurationError) as caught:
        replayed(path, columns)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("log.xlsx", b"", "its name must end in .csv, .jsonl or .ndjson"),
        ("log.csv", b"", "is empty; its first line must name the columns"),
        ("log.csv", b"a,b,a\n", "names a column twice: a, b, a"),
        ("log.csv.gz", b"plain", "cannot be read: Not a gzipped file"),
        ("log.csv.gz", gzip.compress(b"ts,model\n" * 99, mtime=0)[:-9], "is damaged or was not written to its end"),
        ("log.csv", b"ts,model\n1,\xff\n", "is not UTF-8"),
        ("log.csv", b'ts,model\n1,"x\n', "is no CSV after line 2"),
        ("missing.csv", None, "missing.csv cannot be read: No such file or directory"),
    ],
)
def test_an_unreadable_file_is_one_clear_sentence(
    tmp_path: Path, name: str, content: bytes | None, expected: str
) -> None:
    """What cannot be read says why, with the file's name."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        replayed(tmp_path / name, "occurred_at=ts")
    assert expected in str(caught.value)


def test_options_may_be_repeated_or_joined() -> None:
    """``-x a=b,c=d`` is ``-x a=b -x c=d``; only the first equals sign divides."""
    assert parse_pairs("-x", ["a=b,c=d", " e = f=g "]) == {"a": "b", "c": "d", "e": "f=g"}


def test_no_time_is_invented() -> None:
    """One time for all events, by --set, is refused."""
    with pytest.raises(ConfigurationError, match="would give all events one time"):
        FieldMapping.parse(constants=[f"occurred_at={datetime(2026, 1, 1, tzinfo=UTC).isoformat()}"])
