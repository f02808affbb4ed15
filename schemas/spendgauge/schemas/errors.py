"""What can go wrong, and what does each error carry?

    SpendgaugeError                 everything this project raises on purpose
    ├── ConfigurationError          a setting, a file or an argument that cannot work; raised at construction
    │   └── PriceFileError          a price override file that cannot be used (schemas.prices)
    └── UnavailableError            a broker or a database that does not answer

Every message is a sentence: what is wrong, with which value, what to do. The command line prints it as it
is and exits with a non-zero status, so it must make sense without a traceback.
"""

__all__ = ["ConfigurationError", "PriceFileError", "SpendgaugeError", "UnavailableError"]


class SpendgaugeError(Exception):
    """The root of all errors that this project raises on purpose."""


class ConfigurationError(SpendgaugeError):
    """A setting, a file or an argument cannot work as given."""


class PriceFileError(ConfigurationError):
    """A price override file cannot be used."""


class UnavailableError(SpendgaugeError):
    """A broker or a database does not answer at the given address."""
