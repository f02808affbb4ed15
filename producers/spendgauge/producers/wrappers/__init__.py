"""How is every call counted without a line of code at each? The SDK's own client, watched where it speaks HTTP.

    track(client, ...)      each attempt of each call of this client becomes an event
    track_messages(...)     each result of the Claude Agent SDK does

    tracking      which clients, and what is said of their calls
    clients       the HTTP client that is seen through; pieces: the body of an answer, as it passes
    calls         which requests are calls to a model
    attempts      what becomes of one attempt
    reserving     whether an attempt may be made, and what it holds of its quotas
    lines, readers, characters    what an answer says, and how much was said where it does not

What is counted and what is not: ``docs/wrappers.md``.
"""

from spendgauge.producers.wrappers.agents import track_messages
from spendgauge.producers.wrappers.attempts import RETRY_TAG
from spendgauge.producers.wrappers.tracking import track, unobserved

__all__ = ["RETRY_TAG", "track", "track_messages", "unobserved"]
