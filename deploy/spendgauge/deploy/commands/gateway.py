"""Which commands let other services in? ``gateway``, which takes their events over HTTP, and ``gateway key``."""

from pathlib import Path
from typing import Annotated

import typer

from spendgauge.deploy.options import Where, with_addresses

__all__ = ["create_key", "gateway"]

Keys = Annotated[Path | None, typer.Option(metavar="FILE", help="The file of API keys; else SPENDGAUGE_GATEWAY_KEYS.")]


@with_addresses("kafka", "data")
def gateway(
    context: typer.Context,
    where: Where,
    host: Annotated[str | None, typer.Option(help="The address to listen on; default 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="The port; default 8318, 0: any free one.")
    ] = None,
    keys: Keys = None,
    open_: Annotated[
        bool | None, typer.Option("--open", help="Take what comes without a key; from this machine only.")
    ] = None,
    spool: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where events are safe before Kafka has them; on a local disk.")
    ] = None,
) -> None:
    """Take usage events and OpenTelemetry traces over HTTP until Ctrl-C: POST /v1/usage and /v1/traces.

    Further settings come from the environment, SPENDGAUGE_*: see docs/gateway.md.

    Examples:

        spendgauge gateway --open --spool ./spool
        spendgauge gateway --host 0.0.0.0 --keys keys.toml --spool /var/lib/spendgauge
        spendgauge gateway key search-backend --keys keys.toml
    """
    if context.invoked_subcommand is not None:
        return
    from spendgauge.producers.gateway.server import run_gateway
    from spendgauge.producers.gateway.settings import GatewaySettings

    settings = where.settings(
        GatewaySettings,
        gateway_host=host,
        gateway_port=port,
        gateway_keys=keys,
        gateway_open=open_ or None,
        spool_dir=str(spool) if spool else None,
    )
    run_gateway(settings)


def create_key(
    name: Annotated[str, typer.Argument(help="Who will use it: letters, digits, dots, dashes, underscores.")],
    keys: Keys = None,
    fix: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="DIMENSION=VALUE", help="What its events get, whatever they say."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="DIMENSION=VALUE", help="A value that its events may have, and no others."),
    ] = None,
) -> None:
    """Make an API key and print it, once: the file keeps only its hash. A running gateway knows it within a second.

    To revoke a key remove its entry from the file.

    Examples:

        spendgauge gateway key search-backend --keys keys.toml
        spendgauge gateway key billing --set environment=prod --allow team=search --allow team=ads
    """
    import os

    from spendgauge.producers.gateway.keys import add_key
    from spendgauge.schemas import ConfigurationError, SystemClock

    path = keys or (Path(os.environ["SPENDGAUGE_GATEWAY_KEYS"]) if os.environ.get("SPENDGAUGE_GATEWAY_KEYS") else None)
    if path is None:
        raise ConfigurationError("say where the keys are: --keys FILE, or SPENDGAUGE_GATEWAY_KEYS")
    allowed: dict[str, list[str]] = {}
    for dimension, value in _pairs("--allow", allow):
        allowed.setdefault(dimension, []).append(value)
    token = add_key(path, name, fixed=dict(_pairs("--set", fix)), allowed=allowed, now_ms=SystemClock().now_ms())
    typer.echo(token)
    typer.echo(f"this is the only time that it is shown; {path} keeps its hash", err=True)


def _pairs(option: str, given: list[str] | None) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in given or ()]
    bad = next((name for name, equals, value in pairs if not (name and equals and value)), None)
    if bad is not None:
        raise typer.BadParameter(f"{option} {bad}: write DIMENSION=VALUE, such as team=search")
    return [(name, value) for name, _, value in pairs]
