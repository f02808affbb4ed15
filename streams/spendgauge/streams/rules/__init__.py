"""When is an amount, a share of errors, a silence, or a missing price worth an alert? Rules, each a small class.

    rule         what a rule is: its fields, levels, and what it is shown
    threshold    more than an absolute amount in some minutes
    error_rate   too many errors
    unpriced     something is used that has no price
    no_data      something has stopped that always came
    price_age    the price data is old
    metering_stalled  what is sent is not rated, so no other rule can see it
    kinds        which kinds there are, and which rules are built in
    file         rules.toml
    minutes      what each key did in each of the last minutes
    windows      the sums of the last so many minutes
    stretches    since when each key comes without a longer silence
    standstills  since when records of usage.events wait and none is rated
    alarms       when a level is an alarm, worse, and over
    alerts       what is said of it
    kept         what is kept of a partition
    book         the alarms of one partition
    desk         one partition: its minutes are closed, judged, and taken over
    clock_desk   the rules that go by the clock
    judge        all partitions of a worker

Pure: no clock, no I/O (but a warning in the log of a rule that may see nothing). See ``docs/rules.md``.
"""

from spendgauge.streams.rules.file import RulesFile, parse_rules
from spendgauge.streams.rules.judge import RuleJudge
from spendgauge.streams.rules.kinds import KINDS
from spendgauge.streams.rules.rule import LEVELS_SCHEMA, Rule, Seen, level

__all__ = ["KINDS", "LEVELS_SCHEMA", "Rule", "RuleJudge", "RulesFile", "Seen", "level", "parse_rules"]
