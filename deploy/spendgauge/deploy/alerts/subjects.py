"""Can there be alerts of this rule and series? What cannot be is refused, what nobody here knows is remarked."""

from typing import Final

from spendgauge.deploy.alerts.words import Subject
from spendgauge.schemas import ConfigurationError
from spendgauge.streams.delivery.channels import DELIVERY_RULE, DELIVERY_SERIES
from spendgauge.streams.judging.series import remark_on
from spendgauge.streams.rules.file import TAKEN
from spendgauge.streams.rules.kinds import BUILT_IN

__all__ = ["notes_on"]

_RULES: Final = (*TAKEN, *(rule.name for rule in BUILT_IN), DELIVERY_RULE)
_OTHER_SERIES: Final = ("source", DELIVERY_SERIES)
"""Of alerts that no series of rates is about."""


def notes_on(about: Subject) -> tuple[str, ...]:
    """Say what may be a slip in the subject of a silence, a sentence each, without its dot.

    Raises ``ConfigurationError`` where no alert can be of such a series.
    """
    notes = []
    if about.rule and about.rule not in _RULES:
        notes.append(f"the rule {about.rule!r} is not one of {', '.join(_RULES)}: it must be in rules.toml")
    if about.series and about.series not in _OTHER_SERIES:
        try:
            remark = remark_on(about.series)
        except ValueError as error:
            raise ConfigurationError(f"{error}; of gaps the series is source, of notifications channel") from None
        notes += [remark] if remark else []
    return tuple(notes)
