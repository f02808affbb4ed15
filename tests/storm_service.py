"""What does a service do in a storm? Eight threads emit for as long as it lives, and time each call.

Run by ``tests/storms.py``: a line ``<id> <nanoseconds>`` for each event, as soon as ``emit`` has returned its id.
SIGTERM ends it well.
"""

import os
import signal
import sys
import threading
from itertools import count
from time import perf_counter_ns

from spendgauge.producers import ProducerSettings, UsageProducer

__all__ = ["main"]

_THREADS = 8
_PAUSE_SECONDS = 0.005
_MODELS = (("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-4o-mini"), ("nobody", "unheard-of-1"))


def main() -> int:
    """Emit until told to end; say 1 where an event has then neither arrived nor been kept."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with UsageProducer(ProducerSettings.from_environment()) as producer:
        threads = [threading.Thread(target=_emit, args=(producer, over, number)) for number in range(_THREADS)]
        for thread in threads:
            thread.start()
        over.wait()
        for thread in threads:
            thread.join()
        return 0 if producer.close(60) else 1


def _emit(producer: UsageProducer, over: threading.Event, thread: int) -> None:
    for number in count():
        if over.wait(_PAUSE_SECONDS):
            return
        provider, model = _MODELS[number % len(_MODELS)]
        before = perf_counter_ns()
        event_id = producer.emit(
            provider=provider,
            model=model,
            input_tokens=number % 1_000,
            output_tokens=number % 77,
            feature=f"f{thread}",
            user_id=f"user-{number % 50}",
            session_id=f"session-{thread}-{number // 100}",
        )
        taken = perf_counter_ns() - before
        if event_id is not None:
            os.write(1, f"{event_id} {taken}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
