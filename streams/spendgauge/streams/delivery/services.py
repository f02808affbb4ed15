"""How is a message sent to Slack, Teams, e-mail, PagerDuty and the rest? By the apprise library, which knows them.

It says whether a service took a message, not why it did not: so a failure is always one to try again.
"""

import logging
from typing import Final

from apprise import Apprise, AppriseAsset, AppriseResultStatus, NotifyFormat, NotifyType, PersistentStoreMode

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.delivery.messages import Message
from spendgauge.streams.delivery.targets import Target
from spendgauge.streams.delivery.tries import Outcome

__all__ = ["Service"]

_TYPES: Final = {"warn": NotifyType.WARNING, "page": NotifyType.FAILURE}


class Service:
    """Sends to one apprise URL."""

    def __init__(self, target: Target) -> None:
        """Raises ``ConfigurationError`` where apprise does not know the URL; it is not shown."""
        self._target = target
        self._seconds = target.channel.timeout_seconds
        _hush()
        asset = AppriseAsset(
            app_id="spendgauge",
            app_desc="spendgauge",
            storage_mode=PersistentStoreMode.MEMORY,
            http_redirects=False,  # whoever is led to a page to log in takes that for success
        )
        self._apprise = Apprise(asset=asset)
        if not self._apprise.add(target.url.get_secret_value()) or len(self._apprise) != 1:
            raise ConfigurationError(
                f"channel {target.channel.name!r}: its url is not one apprise URL, such as slack://A/B/C; "
                "see the list of services in apprise's documentation."
            )

    def send(self, message: Message) -> Outcome:
        """Try once."""
        data = message.notification.data
        kind = NotifyType.SUCCESS if message.notification.type == "alert.resolved" else _TYPES[data.severity]
        try:
            result = self._apprise.notify(
                body=data.text,
                title=data.subject,
                notify_type=kind,
                body_format=NotifyFormat.TEXT,
                timeout=self._seconds,
            )
        except Exception as error:  # noqa: BLE001 - a hundred services' code, and none may end the thread
            return Outcome("failed", f"apprise fails ({type(error).__name__})", perhaps=True)
        if result:
            return Outcome("sent")
        late = result.status == AppriseResultStatus.TIMEOUT
        said = [entry.message for entry in result.logs() if entry.level in {"WARNING", "ERROR"}]
        reason = self._target.hide(" ".join(said))[:300].strip().removesuffix(".")
        silent = f"it does not answer within {self._seconds:g} s" if late else "apprise does not say why"
        return Outcome("failed", reason or silent, perhaps=late)

    def close(self) -> None:
        """Nothing is kept open."""


def _hush() -> None:
    """Keep apprise's own lines to itself: some of them show URLs. What a service complains of is in the result too."""
    for name in ("apprise", "urllib3"):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(_SILENT)


_SILENT: Final = logging.NullHandler()
