"""What has each key spent in any stretch of time, to the picodollar, whoever was killed in between?

    sums       what one hour or day adds up to
    account    what one key has spent, and when
    entries    what is kept of it, for whoever takes the partition over
    patterns   which of what is configured names a key
    covers     which keys have an account
    folding    which contributions need not be held any more
    ledger     accounts of one partition: lines in, entries out
    recall     what the log says of keys that are new
    books      all of them, also those of keys that are new

Pure: no clock, no I/O. See ``docs/budgets.md``.
"""

from spendgauge.streams.ledger.account import Account, AccountKey
from spendgauge.streams.ledger.books import Books
from spendgauge.streams.ledger.entries import LedgerEntries, read_ledger
from spendgauge.streams.ledger.patterns import Patterns
from spendgauge.streams.ledger.sums import QUARTER_SECONDS, Amounts

__all__ = ["QUARTER_SECONDS", "Account", "AccountKey", "Amounts", "Books", "LedgerEntries", "Patterns", "read_ledger"]
