"""Through which phases does a stack go? Starting, running, draining, stopping."""

from collections.abc import Callable, Iterable
from typing import Final

from spendgauge.deploy.stack.children import Child
from spendgauge.deploy.stack.plan import StackPlan
from spendgauge.deploy.stack.rounds import Rounds
from spendgauge.deploy.stack.signals import StopRequest
from spendgauge.deploy.stack.state import ProcessMark, StackState, save_state
from spendgauge.schemas import Clock, UnavailableError

__all__ = ["Supervisor"]

_ROUND_SECONDS: Final = 0.1
_START_SECONDS: Final = 150.0
_MOST_START_FAILURES: Final = 3
_LAST_RATES_SECONDS: Final = 5.0
"""How long the sink may take for what the workers wrote when they stopped."""


class Supervisor:
    """Leads the processes of one plan through their phases."""

    def __init__(self, plan: StackPlan, *, clock: Clock, say: Callable[[str], None], me: ProcessMark) -> None:
        """Nothing is started yet. ``say`` takes one line for the user; ``me`` is this process."""
        self._plan = plan
        self._clock = clock
        self._say = say
        self._me = me
        self._rounds = Rounds(plan, clock, say)
        self._since_ms = clock.now_ms()
        self._saved: StackState | None = None
        self._complained = ""
        self._lost = ""

    def start(self, stop: StopRequest) -> None:
        """Bring everything up, until it is or a stop is asked for.

        Raises ``UnavailableError`` that names what does not come up, with the end of its log.
        """
        deadline = self._clock.monotonic() + _START_SECONDS
        while not stop.is_asked:
            self._turn("starting")
            failed = next((c for c in self._rounds.children if c.failures >= _MOST_START_FAILURES), None)
            if failed is not None:
                raise UnavailableError(_complaint(failed, f"ended {failed.failures} times"))
            missing = next(self._rounds.missing(), None)
            if missing is None:
                return
            if self._clock.monotonic() > deadline:
                raise UnavailableError(_complaint(missing, f"is not ready after {_START_SECONDS:.0f} s"))
            self._clock.sleep(_ROUND_SECONDS)

    def run(self, stop: StopRequest) -> None:
        """Keep everything up until a stop is asked for."""
        while not stop.is_asked:
            self._try_turn("running")
            self._clock.sleep(_ROUND_SECONDS)

    def drain(self, stop: StopRequest) -> None:
        """Close the gateway, then wait until all that was sent is counted and stored, or time or patience runs out."""
        self._save("draining")
        self._end_gateway(stop)
        deadline = self._clock.monotonic() + self._plan.drain_seconds
        while not stop.is_urgent and self._clock.monotonic() < deadline:
            self._try_turn("draining")
            if self._rounds.uncounted() == 0 and self._rounds.unstored() == 0:
                return
            self._clock.sleep(_ROUND_SECONDS)
        left = self._rounds.unstored()
        if left != 0:
            fate = "lost with the embedded broker" if self._rounds.broker else "in Kafka, and read at the next start"
            what = (
                "an unknown number of records were"
                if left is None
                else f"{left} record{' was' if left == 1 else 's were'}"
            )
            said = f"{what} not stored, and {'is' if left == 1 else 'are'} {fate}"
            self._say(said)
            self._lost = said if self._rounds.broker else ""

    def stop(self, stop: StopRequest) -> None:
        """End the processes in order, so that each can hand on what it holds: workers, watcher and notifier, sink,
        database, broker."""
        self._save("stopping")
        rounds = self._rounds
        self._end_gateway(stop)
        self._end(rounds.workers, stop)
        self._end([child for child in (rounds.watcher, rounds.notifier) if child], stop)
        deadline = self._clock.monotonic() + _LAST_RATES_SECONDS
        while rounds.sink.is_running and not stop.is_urgent and self._clock.monotonic() < deadline:
            if not rounds.unstored():
                break
            self._clock.sleep(_ROUND_SECONDS)
        rounds.close()
        for child in (rounds.sink, rounds.store, rounds.broker):
            self._end([child] if child else [], stop)

    def kill(self) -> None:
        """End every process at once."""
        for child in self._rounds.children:
            child.kill()

    def _turn(self, phase: str) -> None:
        self._rounds.turn()
        self._save(phase)

    def _try_turn(self, phase: str) -> None:
        """Turn; what does not answer (or a full disk) is tried again in the next round, and said once."""
        try:
            self._turn(phase)
            self._complained = ""
        except (UnavailableError, OSError) as error:
            if str(error) != self._complained:
                self._say(str(error))
            self._complained = str(error)

    def _end_gateway(self, stop: StopRequest) -> None:
        """End it before the others: what it holds is sent, and it takes nothing more."""
        if self._rounds.gateway is not None:
            self._end([self._rounds.gateway], stop)
            self._rounds.gateway = None

    def _end(self, children: Iterable[Child], stop: StopRequest) -> None:
        """Ask processes to stop, all at once, and wait; kill those that take too long."""
        waiting = [child for child in children if child.is_running]
        for child in waiting:
            child.terminate()
        deadlines = {child.spec.name: self._clock.monotonic() + child.spec.stop_seconds for child in waiting}
        while waiting:
            for child in waiting:
                if stop.is_urgent or self._clock.monotonic() > deadlines[child.spec.name]:
                    child.kill()
            waiting = [child for child in waiting if child.is_running]
            self._clock.sleep(_ROUND_SECONDS / 5)

    def _save(self, phase: str) -> None:
        state = StackState(
            phase=phase,
            supervisor=self._me,
            addresses=self._plan.addresses,
            data=str(self._plan.data),
            since_ms=self._since_ms,
            children=tuple(child.state for child in self._rounds.children),
            lost=self._lost,
        )
        if state != self._saved:
            save_state(self._plan.data, state)
            self._saved = state


def _complaint(child: Child, what: str) -> str:
    return f"{child.spec.name} {what}; the end of its log {child.spec.log}:\n{child.last_lines() or '    (empty)'}"
