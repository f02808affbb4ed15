"""What has this process used and spent so far?

    totals = producer.totals()
    print(totals.requests, totals.cost_usd, totals.unpriced)

The measures are those of the rates. Each event is priced by itself, since its time, tier and size decide its price, and
the sums are whole picodollars: so they are what SQL says of the same events. What is accepted is only put aside, as the
line that goes to Kafka. It is added up when somebody asks, or by the producer's thread when so many lines lie there
that they take more memory than the prices do.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spendgauge.producers.tariffs import load_tariff
from spendgauge.schemas import SpendgaugeError
from spendgauge.schemas.events import LEAVES
from spendgauge.schemas.moments import milliseconds_of
from spendgauge.schemas.money import usd
from spendgauge.schemas.prices import Billable, Key

if TYPE_CHECKING:
    from spendgauge.schemas.prices import Tariff

__all__ = ["ModelTotals", "RunningTotals", "UsageTotals"]

_MAX_WAITING: Final = 10_000
"""How many lines wait for somebody to ask; the prices are read for more."""

_AT_ONCE: Final = 100
"""How many the producer's thread adds up at a time, more where too many wait: one by one, with caches that are cold, an
event would cost four times as much."""

_MAX_MODELS: Final = 1_000
"""How many models are told apart; names are the callers' to invent, memory is not. The others are ``_OTHER``."""

_OTHER: Final = ("other", "other")
_CLASSES: Final = tuple(leaf for leaf in LEAVES if leaf.endswith("_tokens"))


@dataclass(frozen=True, slots=True)
class ModelTotals:
    """What one model was used for, or all of them."""

    requests: int = 0
    """Usage events; an adjustment is none."""
    errors: int = 0
    """Requests whose status is error."""
    unpriced: int = 0
    """Events that nobody has a price for: they are not in ``cost_usd``."""
    tokens: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys((*_CLASSES, "reasoning_tokens"), 0))
    """Tokens by leaf, such as ``input_tokens``; ``reasoning_tokens`` are of which ``output_tokens``."""
    web_search_requests: int = 0
    cost_usd: Decimal | None = Decimal(0)
    """Exact, with twelve decimals; None where nothing of it has a price."""

    @property
    def total_tokens(self) -> int:
        """All tokens, each once."""
        return sum(self.tokens[name] for name in _CLASSES)


@dataclass(frozen=True, slots=True)
class UsageTotals(ModelTotals):
    """What this process has emitted since its start, in all and by (provider, model)."""

    by_model: Mapping[tuple[str, str], ModelTotals] = field(default_factory=dict)


class _Sum:
    """A sum that grows."""

    __slots__ = ("counts", "errors", "events", "picodollars", "reasoning", "requests", "unpriced")

    def __init__(self) -> None:
        self.events = self.requests = self.errors = self.unpriced = self.picodollars = self.reasoning = 0
        self.counts = [0] * len(LEAVES)

    def add(self, entry: "_Entry", cost: int | None) -> None:
        self.events += 1
        if entry.is_usage:
            self.requests += 1
            self.errors += entry.failed
        self.reasoning += entry.billable.reasoning_tokens
        for index, count in enumerate(entry.billable.counts):
            if count:
                self.counts[index] += count
        if cost is None:
            self.unpriced += 1
        else:
            self.picodollars += cost

    def merge(self, other: "_Sum") -> None:
        for name in ("events", "requests", "errors", "unpriced", "picodollars", "reasoning"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]

    def measures(self) -> dict[str, Any]:
        """Write it as the fields of ``ModelTotals``."""
        counts = dict(zip(LEAVES, self.counts, strict=True))
        return {
            "requests": self.requests,
            "errors": self.errors,
            "unpriced": self.unpriced,
            "web_search_requests": counts.pop("web_search_requests"),
            "tokens": counts | {"reasoning_tokens": self.reasoning},
            "cost_usd": None if self.events and self.unpriced == self.events else usd(self.picodollars),
        }


class _Entry(NamedTuple):
    """What is read of a line."""

    billable: Billable
    is_usage: bool
    failed: bool

    @classmethod
    def of(cls, line: bytes) -> "_Entry":
        """Read a line that a lane has written: complete, valid, defaults left out."""
        fields = json.loads(line)
        get = fields.get
        is_usage, failed = get("kind", "usage") == "usage", get("status", "ok") == "error"
        billable = Billable(
            Key(fields["provider"], fields["model"], get("service_tier", "standard")),
            milliseconds_of(datetime.fromisoformat(fields["occurred_at"])),
            tuple([get(leaf, 0) for leaf in LEAVES]),
            get("reasoning_tokens", 0),
            int(is_usage and not failed),
        )
        return cls(billable, is_usage, failed)


class RunningTotals:
    """Adds up what was accepted. ``add`` takes an event's line, in one step of the interpreter, from any thread."""

    def __init__(self, prices: Path | None = None, *, on_trouble: Callable[[str], None] | None = None) -> None:
        self._prices = prices
        self._on_trouble = on_trouble
        self._lines: deque[bytes] = deque()
        self.add: Callable[[bytes], None] = self._lines.append
        self._sums: dict[tuple[str, str], _Sum] = {}
        self._lock = threading.Lock()
        self._begun = False
        self._tariff: Tariff | None = None

    def fold(self) -> None:
        """Add some of it up, once that is due, unless somebody reads at this moment."""
        due = _AT_ONCE if self._begun else _MAX_WAITING
        if len(self._lines) >= due and self._lock.acquire(blocking=False):
            try:
                self._add_up(max(_AT_ONCE, len(self._lines) - _MAX_WAITING))
            finally:
                self._lock.release()

    def read(self) -> UsageTotals:
        """Say what it comes to."""
        with self._lock:
            self._add_up(len(self._lines))
            whole = _Sum()
            for part in self._sums.values():
                whole.merge(part)
            by_model = {names: ModelTotals(**part.measures()) for names, part in self._sums.items()}
        return UsageTotals(**whole.measures(), by_model=by_model)

    def _add_up(self, lines: int) -> None:
        if lines and not self._begun:
            self._begun = True
            self._read_prices()
        tariff = self._tariff
        for _ in range(min(lines, len(self._lines))):
            entry = _Entry.of(self._lines.popleft())
            self._sum(entry.billable.key).add(entry, None if tariff is None else tariff.cost(entry.billable))

    def _sum(self, key: Key) -> _Sum:
        names = (key.provider, key.model)
        found = self._sums.get(names)
        if found is None:
            found = self._sums.setdefault(names if len(self._sums) < _MAX_MODELS else _OTHER, _Sum())
        return found

    def _read_prices(self) -> None:
        """Without prices everything stays unpriced."""
        try:
            self._tariff = load_tariff(self._prices)
        except SpendgaugeError as error:
            if self._on_trouble is not None:
                self._on_trouble(str(error))
