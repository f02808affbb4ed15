"""Which blocks can add nothing any more, and does everybody who may go on know? Their contributions need not be held.

A block is complete when a line of a later block of its source was read; see ``ledger`` for why, and for the steps.
"""

from collections.abc import Iterable, Mapping

from spendgauge.streams.ledger.entries import KeptFold

__all__ = ["Block", "Folding"]

Block = tuple[str, int, int]
"""Stream, partition of ``usage.events``, and number."""

_Source = tuple[str, int]


class Folding:
    """Knows the blocks of one partition's lines."""

    def __init__(self, folded: Iterable[KeptFold] = ()) -> None:
        """Go on from what is kept."""
        self.numbers: dict[Block, int] = {}
        """The blocks that are not folded, each with a number of its own."""
        self._blocks: dict[int, Block] = {}
        self._next = 0
        self._newest: dict[_Source, int] = {}
        self._complete: dict[_Source, int] = {}
        self._told: dict[_Source, int] = {(one.stream, one.partition): one.block for one in folded}
        self._folded = dict(self._told)
        self._adopted: dict[_Source, int] = {}
        self._retired: dict[Block, int] = {}
        """The blocks that were adopted, with the numbers of the places that are still held of them."""

    @property
    def kept(self) -> tuple[KeptFold, ...]:
        """What is to be kept."""
        return tuple(
            KeptFold(stream=source[0], partition=source[1], block=b) for source, b in sorted(self._told.items())
        )

    def number(self, block: Block) -> int | None:
        """Number a block; None: it is folded, and its lines are in the sums."""
        source = _source(block)
        if block[2] <= max(self._folded.get(source, -1), self._adopted.get(source, -1)):
            return None
        if block not in self.numbers:
            self._next += 1
            self.numbers[block], self._blocks[self._next] = self._next, block
            self._newest[source] = max(block[2], self._newest.get(source, block[2]))
        return self.numbers[block]

    def block(self, number: int) -> Block:
        """Give the block of a number."""
        return self._blocks[number]

    def advance(self) -> frozenset[int]:
        """Take each block a step further; what was kept before is acknowledged. Give the numbers of the folded."""
        self._folded = self._told
        self._told = _furthest(self._folded, self._complete)
        self._complete = {source: newest - 1 for source, newest in self._newest.items()}
        gone = [*_within(self.numbers, self._folded), *_within(self._retired, self._folded)]
        numbers = frozenset(self._retired.pop(block, 0) or self.numbers.pop(block) for block in gone)
        for number in numbers:
            del self._blocks[number]
        return numbers

    def adopt(self, other: "Folding") -> None:
        """Leave out from now on the lines of blocks that another has folded, which has read the same log.

        The next saving says so. What is held of them stays until that is acknowledged: whoever is killed before finds
        the places.
        """
        self._adopted = _furthest(self._adopted, other._folded)
        self._complete = _furthest(self._complete, other._folded)
        self._retired |= {block: self.numbers.pop(block) for block in _within(self.numbers, self._adopted)}


def _furthest(one: Mapping[_Source, int], other: Mapping[_Source, int]) -> dict[_Source, int]:
    return {source: max(one.get(source, -1), other.get(source, -1)) for source in one.keys() | other.keys()}


def _within(blocks: Iterable[Block], folded: Mapping[_Source, int]) -> list[Block]:
    return [block for block in blocks if block[2] <= folded.get(_source(block), -1)]


def _source(block: Block) -> _Source:
    """Name who counts on from block to block: one that was begun late (``@``) is followed by an ordinary one."""
    return block[0].partition("@")[0], block[1]
