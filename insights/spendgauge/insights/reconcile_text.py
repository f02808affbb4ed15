"""How is the result of a reconciliation told? In a few plain sentences, or as JSON with every number."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from spendgauge.insights.books import Books, Difference
from spendgauge.insights.reconcile import Reconciliation
from spendgauge.schemas import LEAVES
from spendgauge.schemas.money import usd_text
from spendgauge.schemas.rates import MEASURES

__all__ = ["as_json", "as_sentences"]

_MOST_TOLD: Final = 10
_MOST_MEASURES: Final = 3
_TOKENS: Final = tuple(name for name in LEAVES if name.endswith("_tokens"))


def as_sentences(found: Reconciliation) -> Iterator[str]:
    """Tell the result: first whether the books balance, then the figures, then what does not balance, and where."""
    books = found.books
    yield "The books balance." if found.balanced else "The books do not balance."
    yield from _figures(books)
    yield from _shortened(list(_faults(found)))


def as_json(found: Reconciliation) -> dict[str, Any]:
    """Give every number; money as exact decimal strings in USD, hours as RFC 3339."""
    books = found.books
    totals = {name: books.total(name) for name in MEASURES if name != "cost_picodollars"}
    return {
        "balanced": found.balanced,
        "behind": found.behind,
        "produced": books.produced,
        "stored": books.events,
        "rated": {series: sum(total[0] for total in hours.values()) for series, hours in sorted(books.rated.items())},
        "rejected": dict(books.rejected),
        "unpriced": books.total("unpriced"),
        "missing": books.missing,
        "repeated": books.repeated,
        "rows_waiting_for_merge": books.waiting_merge,
        "totals": totals | {"cost_usd": usd_text(books.total("cost_picodollars"))},
        "sources": [
            {
                "source": b.source,
                "produced": b.produced,
                "stored": b.stored,
                "rejected": b.rejected,
                "missing": b.missing,
            }
            for b in books.sources
        ],
        "gaps": [
            {"source": gap.source, "first": gap.first, "last": gap.last, "unseen_by_workers": gap.unseen}
            for gap in books.gaps
        ],
        "differences": [_difference(difference) for difference in books.differences()],
    }


def _figures(books: Books) -> Iterator[str]:
    rejected = sum(books.rejected.values())
    tokens = sum(books.total(name) for name in _TOKENS)
    yield f"produced  {books.produced:,} events by {_counted(len(books.sources), 'source')}" + (
        f" and {books.foreign:,} without a number" if books.foreign else ""
    )
    yield f"stored    {books.events:,}, {tokens:,} tokens, {usd_text(books.total('cost_picodollars'))} USD"
    yield f"rated     {_rated(books)}"
    yield f"rejected  {rejected:,}" + "".join(f", {lines:,} {reason}" for reason, lines in books.rejected.items())
    yield f"unpriced  {books.total('unpriced'):,}"
    yield f"missing   {books.missing:,}"


def _rated(books: Books) -> str:
    if books.differences():
        return "differs, see below"
    series, hours = _counted(len(books.rated), "series", "series"), _counted(len(books.stored), "hour")
    return f"the same in each of {series} and {hours}"


def _faults(found: Reconciliation) -> Iterator[str]:
    for group, behind in found.behind.items():
        if behind:
            yield f"group {group} has still to read {_counted(behind, 'record')}; is it running? --wait 30 waits for it"
    for book in found.books.sources:
        if book.repeated:
            yield f"source {book.source} gave {_counted(book.repeated, 'event')} a seq that it had used before"
    for gap in found.books.gaps:
        which = f"seq {gap.first}" if gap.events == 1 else f"seq {gap.first} to {gap.last}"
        where = "; the workers have not seen them either" if gap.unseen else ""
        yield f"source {gap.source} lacks {_counted(gap.events, 'event')}: {which}{where}"
    for hour, differences in groupby(found.books.differences(), key=lambda difference: difference.hour):
        yield from _of_hour(hour, list(differences), all_series=len(found.books.rated))


def _of_hour(hour: int, differences: list[Difference], *, all_series: int) -> Iterator[str]:
    """Tell an hour's differences once for all series that show the same."""
    told: dict[tuple[tuple[str, int, int], ...], list[str]] = {}
    for series, found in groupby(differences, key=lambda difference: difference.series):
        told.setdefault(tuple((d.measure, d.stored, d.rated) for d in found), []).append(series)
    for measures, names in told.items():
        who = f"all {all_series} series" if len(names) == all_series else ", ".join(names)
        what = "; ".join(_measure(*measure) for measure in measures[:_MOST_MEASURES])
        more = f"; and {len(measures) - _MOST_MEASURES} more measures" if len(measures) > _MOST_MEASURES else ""
        yield f"hour {_hour(hour)}: the rates of {who} have {what}{more}"


def _measure(name: str, stored: int, rated: int) -> str:
    less, amount = rated < stored, abs(stored - rated)
    if name == "cost_picodollars":
        return f"{usd_text(amount)} USD {'less' if less else 'more'} than stored"
    return f"{amount:,} {name} {'fewer' if less else 'more'} than stored"


def _shortened(faults: list[str]) -> Iterator[str]:
    yield from faults[:_MOST_TOLD]
    if len(faults) > _MOST_TOLD:
        yield f"and {len(faults) - _MOST_TOLD:,} more; --json tells all"


def _difference(difference: Difference) -> dict[str, Any]:
    money = difference.measure == "cost_picodollars"
    return {
        "series": difference.series,
        "hour": _hour(difference.hour),
        "measure": "cost_usd" if money else difference.measure,
        "stored": usd_text(difference.stored) if money else difference.stored,
        "rated": usd_text(difference.rated) if money else difference.rated,
    }


def _hour(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:00:00Z")


def _counted(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
