"""Which number stands for which key? While a key is used, a line holds four bytes of it and no names."""

import json
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from spendgauge.streams.judging.lines import key_text
from spendgauge.streams.spikes import SpikeKey

__all__ = ["KeyNumbers", "Numbers"]

Numbers = npt.NDArray[np.uint32]

_FIRST = 64


class KeyNumbers:
    """Numbers keys. A key's text is its series, and its values as a JSON list: no two keys share one."""

    def __init__(self) -> None:
        """Begin without keys."""
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = []
        self._keys: list[SpikeKey] = []
        self._free: list[int] = []
        self._places: dict[str, int] = {}
        self._used = np.zeros(_FIRST, dtype=np.int64)
        self._series = np.zeros(_FIRST, dtype=np.int64)

    def __len__(self) -> int:
        """Say how many keys have a number."""
        return len(self._numbers)

    def find(self, texts: Sequence[str]) -> Numbers:
        """Give the number of each text; a new one gets one that is free."""
        known = self._numbers
        found = [known.get(text, -1) for text in texts]
        if -1 in found:
            found = [known[text] if text in known else self._add(text) for text in texts]
        return np.array(found, dtype=np.uint32)

    def use(self, numbers: Numbers, minute: int) -> None:
        """Note that these are used until this minute."""
        self._used[numbers] = np.maximum(self._used[numbers], minute)

    def key(self, number: int) -> SpikeKey:
        """Name the key that a number stands for."""
        return self._keys[number]

    def number(self, key: SpikeKey) -> int | None:
        """Give the number that stands for a key; None: nothing is known of it."""
        values = pl.DataFrame({"key": [list(key[1])]}, schema={"key": pl.List(pl.String())})
        return self._numbers.get(key[0] + str(values.select(key_text()).item()))

    def of(self, numbers: Numbers, series: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Say of each number whether its key is of one of these series."""
        return np.isin(self._series[numbers], [self._places.get(name, -1) for name in series])

    def forget(self, *, before: int) -> None:
        """Free the numbers that were last used before this minute."""
        old = self._used[: len(self._keys)] < before
        old[self._free] = False
        for number in np.flatnonzero(old).tolist():
            del self._numbers[self._texts[number]]
            self._texts[number], self._keys[number] = "", ("", ())
            self._free.append(number)

    def _add(self, text: str) -> int:
        series, _, values = text.partition("[")
        number = self._free.pop() if self._free else len(self._keys)
        if number == len(self._keys):
            self._keys.append(("", ()))
            self._texts.append("")
        if number == len(self._used):
            self._used, self._series = (np.concatenate([held, held]) for held in (self._used, self._series))
        self._texts[number], self._keys[number] = text, (series, tuple(json.loads(f"[{values}")))
        self._used[number], self._series[number] = 0, self._places.setdefault(series, len(self._places))
        self._numbers[text] = number
        return number
