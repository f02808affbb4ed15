"""For whom is the past of ``cost.rates`` read? For judges that count keys which nobody counted before.

One partition after another, in a thread of its own, a moment at a time; minutes are judged and alerts are sent
meanwhile. Where the reading has come as far as the lines that judges were told, they are joined, in the judges' thread:
there no line can come in between. A partition that is taken away, or whose reading begins anew, is dropped; whoever
takes it over asks again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import structlog
from confluent_kafka import KafkaException

from spendgauge.schemas.clock import Clock
from spendgauge.schemas.settings import KafkaSettings
from spendgauge.streams.judging import History
from spendgauge.streams.reading.readings import Reading
from spendgauge.streams.watching.past import Past

__all__ = ["Recaller"]

_BREATH_SECONDS: Final = 0.01
"""Between two moments of reading: others have work to do."""
_RETRY_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Task:
    partition: int
    reading: Reading
    history: History
    begun_at: float = 0.0
    past: Past | None = None

    @property
    def wanted(self) -> bool:
        return self.history.wanted and not self.reading.closed


class Recaller:
    """Reads the past of one worker's partitions; lives in one event loop."""

    def __init__(
        self, settings: KafkaSettings, *, judging: Executor, position: Callable[[Reading], int], clock: Clock
    ) -> None:
        """``judging``: the judges' thread; ``position``: the offset before which all lines of a reading were told."""
        self._settings = settings
        self._judging = judging
        self._position = position
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "watch-past")
        self._tasks: deque[_Task] = deque()
        self._stopped = False

    @property
    def partitions(self) -> int:
        """Of how many partitions the past is still read, or to be read."""
        return len({task.partition for task in list(self._tasks) if task.wanted})

    def want(self, partition: int, reading: Reading, history: History) -> None:
        """Read the partition's past for a judge; called by the judges' thread."""
        self._tasks.append(_Task(partition, reading, history))

    async def work(self) -> None:
        """Read until nothing is left to be read."""
        while self._tasks and not self._stopped:
            task = self._tasks[0]
            try:
                if not task.wanted or await self._step(task):
                    self._tasks.popleft()
                    await self._close(task)
                await asyncio.sleep(_BREATH_SECONDS)
            except KafkaException as error:
                _log.warning("the past of cost.rates cannot be read, will try again", error=error.args[0].str())
                await asyncio.sleep(_RETRY_SECONDS)

    async def stop(self) -> None:
        """Read no more: whoever takes over begins anew."""
        self._stopped = True
        for task in self._tasks:
            await self._close(task)

    async def _step(self, task: _Task) -> bool:
        """Read for a moment; say whether there is no more to do."""
        loop, up_to = asyncio.get_running_loop(), self._position(task.reading)
        if task.past is None:
            task.past = await loop.run_in_executor(self._thread, self._open, task, up_to)
        past = task.past
        if not await loop.run_in_executor(self._thread, past.read, up_to):
            return False
        return await loop.run_in_executor(self._judging, self._join, task, past)

    def _open(self, task: _Task, up_to: int) -> Past:
        task.begun_at = self._clock.monotonic()
        _log.info("reading the past for keys that are new to the budgets", partition=task.partition, up_to=up_to)
        return Past(self._settings, task.partition, task.history)

    def _join(self, task: _Task, past: Past) -> bool:
        up_to = self._position(task.reading)
        if not task.wanted or not past.take(up_to):
            return not task.wanted
        task.history.join()
        _log.info(
            "the past is read: keys that are new to the budgets are counted from its beginning",
            partition=task.partition,
            offset=past.first,
            up_to=up_to,
            lines=past.lines,
            seconds=round(self._clock.monotonic() - task.begun_at, 1),
        )
        return True

    async def _close(self, task: _Task) -> None:
        if task.past is not None:
            past, task.past = task.past, None
            await asyncio.get_running_loop().run_in_executor(self._thread, past.close)
