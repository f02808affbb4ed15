"""What would have fired? Spikes, budgets and rules over traffic of the past, or a simulated one, without a broker.

options     what can be typed
commands    the command
simulated   weeks of simulated traffic
filed       the traffic that files tell of
stored      the traffic that ClickHouse holds
minutes     events as lines of ``cost.rates``, minute by minute
running     the judges, minute by minute
figures     what it comes to
text        how it reads
"""

__all__: list[str] = []
