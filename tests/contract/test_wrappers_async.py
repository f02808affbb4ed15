"""Is a tracked client at home in asyncio and in threads? Many calls at once, cancelled ones, contexts of their own."""

import asyncio
import contextvars
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest
from tests.providers.server import Played
from tests.tracked import GPT, PROMPT, asked_of_claude, asked_of_gpt, claude, gpt, tokens, tokens_served

from spendgauge.producers import RecordingProducer
from spendgauge.producers.context import usage_context

WORDS = len(PROMPT.split())


@asynccontextmanager
async def _claude(played: Played, producer: RecordingProducer, **options: Any) -> AsyncIterator[Any]:
    async with claude(played, producer, kind=anthropic.AsyncAnthropic, **options) as client:
        yield client


@asynccontextmanager
async def _gpt(played: Played, producer: RecordingProducer, **options: Any) -> AsyncIterator[Any]:
    async with gpt(played, producer, kind=openai.AsyncOpenAI, **options) as client:
        yield client


async def _create(client: Any) -> None:
    await client.messages.create(**asked_of_claude())


async def _streamed(client: Any) -> None:
    async for _ in await client.messages.create(stream=True, **asked_of_claude()):
        pass


async def _helper(client: Any) -> None:
    async with client.messages.stream(**asked_of_claude()) as stream:
        await stream.get_final_message()


async def _raw(client: Any) -> None:
    async with client.messages.with_streaming_response.create(**asked_of_claude()) as response:
        await response.read()


async def _optioned(client: Any) -> None:
    await client.with_options(timeout=5).messages.with_raw_response.create(**asked_of_claude())


@pytest.mark.parametrize("way", [_create, _streamed, _helper, _raw, _optioned])
def test_each_way_is_one_event(
    way: Callable[[Any], Awaitable[None]], played: Played, producer: RecordingProducer
) -> None:
    """Whichever method makes the call, it is one event with the provider's counts."""

    async def run() -> None:
        async with _claude(played, producer) as client:
            assert type(client) is anthropic.AsyncAnthropic
            await way(client)

    asyncio.run(run())
    (event,) = producer.events
    assert (event.input_tokens, event.output_tokens, event.status) == (WORDS, 9, "ok")


def test_many_calls_at_once_keep_their_contexts(played: Played, producer: RecordingProducer) -> None:
    """Of 32 tasks that call at once, half of them streaming and a quarter refused first, each counts for its own user,
    each repetition names its own first attempt, and the tokens are the server's to the last one."""

    async def ask(client: Any, number: int) -> None:
        play = "429,ok" if number % 4 == 0 else "ok"
        with usage_context(user_id=f"user-{number}"):
            if number % 2:
                answer = client.responses.create(model=GPT, input=PROMPT + " now" * number, stream=True)
                async for _ in await answer:
                    pass
            else:
                asked = asked_of_gpt(max_tokens=1 + number % 12)
                await client.chat.completions.create(extra_headers={"x-play": play}, **asked)

    async def run() -> None:
        async with _gpt(played, producer) as client:
            await asyncio.gather(*(ask(client, number) for number in range(32)))

    asyncio.run(run())
    assert Counter(event.user_id for event in producer.events if event.status == "ok") == Counter(
        {f"user-{number}": 1 for number in range(32)}
    )
    refused = {event.user_id: event.event_id for event in producer.events if event.status == "error"}
    repeated = {event.user_id: event.tags["retry_of"] for event in producer.events if event.attempt == 2}
    assert refused == repeated
    assert len(refused) == 8
    answered = Played(played.url, [entry for entry in played.served if entry.how == "ok"])
    assert tokens(producer.events) == tokens_served(answered)


def test_a_cancelled_stream_is_an_event(played: Played, producer: RecordingProducer) -> None:
    """A task that is cancelled in the middle of a stream counts what came until then, and stays cancelled."""

    async def run() -> None:
        begun = asyncio.Event()

        async def read(client: Any) -> None:
            async for event in await client.messages.create(stream=True, **asked_of_claude()):
                if event.type == "content_block_delta":
                    begun.set()

        async with _claude(played, producer, play="stall") as client:
            task = asyncio.create_task(read(client))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    (event,) = producer.events
    assert (event.status, event.error_type, event.usage_source) == ("cancelled", "", "estimated")
    assert (event.input_tokens, event.output_tokens > 0) == (WORDS, True)
    assert event.ttft_ms is not None


def test_a_call_that_is_cancelled_before_its_answer_costs_nothing(played: Played, producer: RecordingProducer) -> None:
    """Where nothing has come back, nobody knows whether a model has worked: no tokens, and the status says why."""

    async def run() -> None:
        async with _claude(played, producer, play="hang") as client:
            task = asyncio.create_task(client.messages.create(**asked_of_claude()))
            while not played.served:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    (event,) = producer.events
    assert (event.status, tokens([event])) == ("cancelled", 0)


def test_a_stream_that_is_left_is_an_event(played: Played, producer: RecordingProducer) -> None:
    """A loop that is left early, without closing, is noticed when the loop's generators are."""

    async def leave(client: Any) -> None:
        async for _ in await client.messages.create(stream=True, **asked_of_claude()):
            break

    async def run() -> None:
        async with _claude(played, producer, play="stall") as client:
            await leave(client)

    asyncio.run(run())
    (event,) = producer.events
    assert (event.status, event.input_tokens) == ("cancelled", WORDS)


def test_threads_share_a_client(played: Played, producer: RecordingProducer) -> None:
    """Eight threads on one client: each call is counted once, for the context that its thread was given."""

    def ask(client: Any, number: int) -> None:
        with usage_context(user_id=f"user-{number % 8}"):
            client.messages.create(**asked_of_claude(max_tokens=1 + number % 9))

    client = claude(played, producer)
    with usage_context(session_id="one"), ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(contextvars.copy_context().run, ask, client, number) for number in range(24)]:
            done.result()
    assert Counter(event.user_id for event in producer.events) == {f"user-{number}": 3 for number in range(8)}
    assert {event.session_id for event in producer.events} == {"one"}
    assert tokens(producer.events) == tokens_served(played)
