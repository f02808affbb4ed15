"""How do chunks of ``cost.rates`` become alerts? The watch agent: take over, absorb, close, keep, tell, save, settle.

1. A partition that this worker was given is **taken over** before any line of it is absorbed: the group confirms that
   it is ours, what is kept of it is read, and what was kept and not said is said.
2. Chunks are **absorbed** in a thread.
3. At each tick minutes that are over are **closed**. What must be **kept** is written and acknowledged, and only then
   the alerts and quotas are **told**: so whoever takes over says what was kept and not said, and judges nothing twice.
4. Where minutes were closed, what has changed is **saved** now and then, and then the receipts of chunks **settled**
   whose lines nobody will need again: their offsets may be committed.

A kill between any two steps repeats steps, and none of them says anything twice.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, Protocol, TypeVar

import structlog

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.clock import Clock
from spendgauge.schemas.errors import UnavailableError
from spendgauge.schemas.progress import End
from spendgauge.streams.judging.judge import Configuration, KeptEntries, Moment
from spendgauge.streams.judging.lines import read_lines
from spendgauge.streams.reading.readings import Delivery, Reading
from spendgauge.streams.watching.bench import Bench, Saved
from spendgauge.streams.watching.files import ConfigurationFiles
from spendgauge.streams.watching.holdings import Holding
from spendgauge.streams.watching.horizon import MOST_LINES, Horizon, Rated
from spendgauge.streams.watching.recalling import Recaller
from spendgauge.streams.watching.settings import WatcherSettings
from spendgauge.streams.watching.telling import Herald

__all__ = ["Member", "OnTold", "WatchAgent"]

P = ParamSpec("P")
T = TypeVar("T")

OnTold = Callable[[Sequence[Alert], int], None]
"""Hears of the alerts that were sent, and of the time (ms) at which the broker had acknowledged them."""

_CLOSE_SECONDS: Final = 1.0
"""How often judges are asked where no minute has ended: what goes by the clock does not wait for one."""

_GUARD_SECONDS: Final = 10.0
"""How often it is asked whether the topic is still the same."""

_RETRY_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class Member(Protocol):
    """What the agent needs of the group's member that reads for it."""

    def open_readings(self) -> Mapping[int, tuple[Reading, End | None]]:
        """The open readings by partition, and where their logs ended when that was last told."""
        ...

    async def still_reads_its_streams(self) -> bool:
        """Whether the partitions are ours and the topic is the same; ``UnavailableError``: ask again."""
        ...

    async def read_anew(self) -> None:
        """Begin all readings anew, from what is committed."""
        ...


class WatchAgent:
    """One worker's watching; lives in one event loop."""

    def __init__(
        self,
        bench: Bench,
        herald: Herald,
        member: Member,
        *,
        rated: Rated,
        settings: WatcherSettings,
        clock: Clock,
        on_told: OnTold = lambda *_: None,
    ) -> None:
        self._bench = bench
        self._herald = herald
        self._member = member
        self._rated = rated
        self._settings = settings
        self._clock = clock
        self._on_told = on_told
        # One thread each: judges are no place for two at once, and every thread more keeps memory of its own.
        self._judging = ThreadPoolExecutor(1, "watch-judge")
        self._writing = ThreadPoolExecutor(1, "watch-write")
        self._recaller = Recaller(settings, judging=self._judging, position=self._position, clock=clock)
        self._assigned: dict[int, Reading] = {}
        """The judges' partitions; their thread's alone, as the next is."""
        self._absorbed: dict[Reading, int] = {}
        """The offset before which all lines were told to the judges."""
        self._holdings: dict[Reading, Holding] = {}
        self._taken = asyncio.Condition()
        self._turn = asyncio.Lock()
        self._closed_at = self._guarded_at = float("-inf")
        self._tried_at = float("-inf")
        self._ticked_at = float("inf")
        self.lines = 0
        self.minutes = 0

    @property
    def holdings(self) -> list[Holding]:
        """The partitions that are taken over."""
        return [holding for holding in self._holdings.values() if holding.is_ours]

    @property
    def recalled(self) -> int:
        """Of how many partitions the past is still read, for keys that are new."""
        return self._recaller.partitions

    async def on_chunk(self, delivery: Delivery) -> None:
        """Take a chunk's lines in, once its partition is taken over."""
        reading = delivery.reading
        async with self._taken:
            await self._taken.wait_for(lambda: reading.closed or reading in self._holdings)
        if not reading.closed:
            lines, newest = await self._in(self._judging, self._absorb, delivery)
            self.lines += lines
            if reading in self._holdings:
                self._holdings[reading].on_chunk(delivery.receipt, lines=lines, newest=newest)
        delivery.release()

    async def on_tick(self) -> None:
        """Do what is due."""
        async with self._turn:
            if self._herald.stopped:
                return
            try:
                await self._tick()
            except UnavailableError as error:
                _log.warning("the broker is away: beginning anew", error=str(error))
                await self._member.read_anew()
            self._ticked_at = self._clock.monotonic()

    async def reload(self, files: ConfigurationFiles) -> None:
        """Go by what is in the files now, where that has changed."""
        await self._in(self._judging, files.read_again, self._reload)

    async def recall(self) -> None:
        """Read the past of partitions for keys that are new, until nothing is left to be read."""
        await self._recaller.work()

    def on_partitions_revoked(self) -> None:
        """Forget at once what belongs to other workers now."""
        for reading, holding in list(self._holdings.items()):
            if reading.closed:
                del self._holdings[reading]
                self._judging.submit(self._revoke, holding.partition, reading)
                self._writing.submit(self._herald.drop, holding.partition)

    async def on_stop(self, patience_seconds: float) -> None:
        """End the present tick, and give up what the broker does not take in time: it will be said by the next one."""
        hopeless = asyncio.get_running_loop().call_later(patience_seconds, self._herald.stop)
        try:
            async with self._turn:
                self._herald.stop()
                await self._recaller.stop()
                await self._in(self._writing, self._herald.close)
        finally:
            hopeless.cancel()
        _log.info("stopped", lines=self.lines, minutes=self.minutes)

    async def _tick(self) -> None:
        await self._wake_up()
        await self._take_over()
        await self._hear()
        until = self._look()
        if until or self._clock.monotonic() - self._closed_at >= _CLOSE_SECONDS:
            await self._close(until)

    async def _wake_up(self) -> None:
        """Begin anew after a sleep in which the group may have given our partitions away."""
        slept = self._clock.monotonic() - self._ticked_at
        if slept > self._settings.session_timeout_seconds:
            _log.warning("slept for so long that others may own the partitions: reading anew", seconds=round(slept, 1))
            await self._member.read_anew()

    async def _take_over(self) -> None:
        """Take over what was given to this worker since the last time."""
        self.on_partitions_revoked()
        fresh = [found for found in self._member.open_readings().items() if found[1][0] not in self._holdings]
        if (fresh and self._may_try()) or self._clock.monotonic() - self._guarded_at >= _GUARD_SECONDS:
            if not await self._is_genuine():
                return
            await self._take({partition: reading for partition, (reading, _) in fresh})
        async with self._taken:
            self._taken.notify_all()

    def _may_try(self) -> bool:
        return self._clock.monotonic() - self._tried_at >= _RETRY_SECONDS

    async def _is_genuine(self) -> bool:
        """Ask whether what is read belongs to us and to the topic that it was taken for."""
        try:
            genuine = await self._member.still_reads_its_streams()
        except UnavailableError as error:
            self._tried_at = self._clock.monotonic()
            _log.warning("cannot ask whether the partitions are still ours, will try again", error=str(error))
            return False
        self._guarded_at = self._clock.monotonic()
        return genuine

    async def _take(self, fresh: Mapping[int, Reading]) -> None:
        if not fresh:
            return
        try:
            taken = await self._in(self._writing, self._herald.take, fresh.keys())
        except UnavailableError as error:
            self._tried_at = self._clock.monotonic()
            _log.warning("cannot read what is kept of the partitions, will try again", error=str(error))
            return
        await self._hear()
        for partition, kept in taken.items():
            if not fresh[partition].closed:
                await self._begin(partition, fresh[partition], kept)

    async def _begin(self, partition: int, reading: Reading, kept: KeptEntries) -> None:
        """Go on from what is kept, and say what was not said."""
        unsent = await self._in(self._judging, self._assign, partition, reading, kept)
        horizon = Horizon(
            self._rated,
            begun_at_ms=self._clock.now_ms(),
            position=reading.origin.base,
            hold_back_seconds=self._settings.hold_back_seconds,
            most_lines=MOST_LINES // max(len(self._member.open_readings()), 1),
        )
        self._holdings[reading] = Holding(partition, reading, horizon)
        _log.info("watching", partition=partition, entries=len(kept), unsent=len(unsent))
        sent, kept_ours = await self._in(self._writing, self._herald.send, partition, unsent)
        self._told(sent)
        await self._lose({partition} - kept_ours)

    def _assign(self, partition: int, reading: Reading, kept: KeptEntries) -> list[Alert]:
        unsent = self._bench.assign(partition, kept)
        self._assigned[partition] = reading
        if not reading.origin.whole:
            self._recall(partition, reading)
        return unsent

    def _revoke(self, partition: int, reading: Reading) -> None:
        self._bench.revoke(partition)
        self._absorbed.pop(reading, None)
        if self._assigned.get(partition) is reading:
            del self._assigned[partition]

    def _reload(self, configuration: Configuration) -> None:
        try:
            self._bench.reload(configuration)
        finally:
            for partition, reading in self._assigned.items():
                self._recall(partition, reading)

    def _recall(self, partition: int, reading: Reading) -> None:
        for history in self._bench.histories(partition):
            self._recaller.want(partition, reading, history)

    def _position(self, reading: Reading) -> int:
        return self._absorbed.get(reading, reading.origin.base)

    async def _hear(self) -> None:
        alerts = await self._in(self._writing, self._herald.listen)
        if alerts:
            await self._in(self._judging, self._bench.heard, alerts)

    def _absorb(self, delivery: Delivery) -> tuple[int, int | None]:
        if delivery.reading.closed:
            return 0, None
        lines = read_lines(delivery.values, series=self._bench.series)
        self._bench.absorb(delivery.partition, lines)
        self._absorbed[delivery.reading] = delivery.next_offset
        newest = lines["minute"].max()
        return len(lines), None if newest is None else int(str(newest))

    def _look(self) -> dict[int, int]:
        """Say of the partitions in which minutes have ended which ones are over."""
        now_ms = self._clock.now_ms()
        ends = dict(self._member.open_readings().values())
        for holding in self.holdings:
            holding.horizon.look(now_ms, ends.get(holding.reading))
        return {
            holding.partition: holding.horizon.until
            for holding in self.holdings
            if holding.horizon.until is not None and holding.horizon.until != holding.closed
        }

    async def _close(self, until: Mapping[int, int]) -> None:
        """Judge, keep, tell; then save and settle, where minutes were closed."""
        self._closed_at = self._clock.monotonic()
        over = {h.partition: h.horizon.until for h in self.holdings if h.horizon.until is not None}
        known = {h.partition: h.horizon.known_ms for h in self.holdings if h.horizon.known_ms is not None}
        moment = Moment(self._clock.now_ms() // 1000, known, self._rated.last)
        verdicts = await self._in(self._judging, self._bench.close, over, moment)
        ours = {holding.partition for holding in self.holdings}
        sent, kept = await self._in(self._writing, self._herald.tell, [v for v in verdicts if v.partition in ours])
        self._told(sent)
        await self._lose({verdict.partition for verdict in verdicts} & ours - kept)
        for holding in self.holdings:
            if holding.partition in over:
                self.minutes += holding.close(over[holding.partition])
        if until:
            await self._save()

    async def _save(self) -> None:
        # what is absorbed while this is written is not in it
        absorbed = {holding.partition: holding.horizon.position for holding in self.holdings}
        saved: Saved = await self._in(self._judging, self._bench.save)
        ours = {holding.partition: holding for holding in self.holdings}
        entries = {partition: own for partition, (own, _) in saved.items() if partition in ours}
        kept = await self._in(self._writing, self._herald.keep, entries)
        await self._lose(entries.keys() - kept)
        for partition in kept:
            ours[partition].settle(saved[partition][1], up_to=absorbed.get(partition, 0))

    def _told(self, alerts: Sequence[Alert]) -> None:
        self._on_told(alerts, self._clock.now_ms())

    async def _lose(self, partitions: Iterable[int]) -> None:
        """Begin anew where others have written to what we keep; not where the broker was given up."""
        if set(partitions) and not self._herald.stopped:
            await self._member.read_anew()

    async def _in(self, executor: Executor, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, partial(work, *arguments, **named))
