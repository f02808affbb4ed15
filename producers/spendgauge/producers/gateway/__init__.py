"""How do services that are not Python send usage? Over HTTP, to one process that answers for what it takes.

    settings    what it is told
    keys        who may send, and for whom
    buckets     how fast
    admission   who is turned away before a body is read
    protocol    how long and how much a connection may send
    bodies      a body, read and unpacked within limits
    formats     JSON, NDJSON and CloudEvents as items (``cloudevents``: what an envelope says)
    traces      OTLP spans as items
    quota_checks    may a call be made: the question, and the answer
    taking      an item into the producer: taken, known, refused, or not safe
    replies     what is said
    routes      which address does what; ``document`` describes it as OpenAPI
    figures     what is counted
    server      the process

Needs the extra ``gateway``; ``import spendgauge.producers`` does not import it.
"""

__all__: list[str] = []
