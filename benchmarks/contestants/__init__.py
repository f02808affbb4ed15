"""Who does the same work otherwise? Each contestant is written as its own documentation would have it written.

Nothing here imports spendgauge: a contestant runs with its own versions, in a process of its own. All read the topic
of usage events from its start, split records into lines, decode with orjson, price with the same table, and add the
costs up by key (the tenant, which is also the record's source) in tumbling windows of 60 s of the events' own time.
"""
