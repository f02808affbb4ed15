"""Does anybody rate the series that is asked for? The usual ones are known; of any other it is remarked."""

from typing import Final

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.rates import DEFAULT_SERIES
from spendgauge.streams.rating.series import parse_series

__all__ = ["remark_on"]

_MINUTE: Final = 60
_USUAL: Final = frozenset(
    spec.name for spec in DEFAULT_SERIES if spec.pane_seconds <= _MINUTE and _MINUTE % spec.pane_seconds == 0
)


def remark_on(series: str) -> str | None:
    """Say what may be wrong with a series and cannot be known here; None: nothing is.

    Raises ``ValueError`` for what is certainly wrong: the end of a sentence, without its dot, as the remark is.
    """
    if series in _USUAL:
        return None
    if not set(series).isdisjoint(",: "):
        raise ValueError(f"series = {series!r} must be one, as in team")
    try:
        parse_series(f"{series}:{_MINUTE}")
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    dimensions = series.split("+")
    if len(set(dimensions)) < len(dimensions):
        raise ValueError(f"series = {series!r} names a dimension twice; name each once")
    rated = next((one for one in _USUAL if sorted(one.split("+")) == sorted(dimensions)), None)
    if rated is not None:
        raise ValueError(f"series = {series!r} is rated in another order; write {rated!r}, and the key's values so")
    return (
        f"{series} is not one of the usual series, so it sees nothing unless the rates workers' SPENDGAUGE_SERIES has "
        f"it, with panes that make up a minute, as in {series}:{_MINUTE}"
    )
