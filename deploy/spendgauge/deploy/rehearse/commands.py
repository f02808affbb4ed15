"""Which command tries limits before they page anybody? ``rehearse``."""

from typing import TYPE_CHECKING

import typer

from spendgauge.deploy.options import Where, with_addresses
from spendgauge.deploy.pipes import until_enough
from spendgauge.deploy.progress import progress_bar
from spendgauge.deploy.rehearse.options import Filed, Limits, Shown, Simulated, Stored, with_groups

if TYPE_CHECKING:
    from spendgauge.deploy.rehearse.traffic import Traffic

__all__ = ["rehearse"]


@with_addresses("clickhouse", "data")
@with_groups(filed=Filed, simulated=Simulated, stored=Stored, limits=Limits, shown=Shown)
def rehearse(where: Where, filed: Filed, simulated: Simulated, stored: Stored, limits: Limits, shown: Shown) -> None:
    """Try spikes, budgets and rules over past or simulated traffic, and print what would have fired.

    Nothing is sent, and no broker is needed. Traffic is that of files, of ClickHouse (--stored), or made up
    (--simulate). What was spent before it begins is not known: budgets count from there.

    Examples:

        spendgauge rehearse --simulate
        spendgauge rehearse --simulate --days 28 --runaway coder:6:20d:10m
        spendgauge rehearse --stored --since 7d --budgets budgets.toml --rules rules.toml
        spendgauge rehearse calls.csv.gz --columns occurred_at=ts,user_id=key --set provider=openai
    """
    if sum((bool(filed.files), simulated.simulate, stored.stored)) != 1:
        raise typer.BadParameter("say what to rehearse over: FILE..., --simulate or --stored, one of them")
    import orjson

    from spendgauge.deploy.rehearse import traffic
    from spendgauge.deploy.rehearse.document import as_json
    from spendgauge.deploy.rehearse.running import create_judges, run_judges
    from spendgauge.deploy.rehearse.text import print_rehearsal
    from spendgauge.schemas import SystemClock
    from spendgauge.schemas.prices import PriceBook
    from spendgauge.streams.watching.files import read_configuration

    judges = create_judges(read_configuration(budgets=limits.budgets, rules=limits.rules))
    series = {name for judge in judges for name in judge.series}
    now_ms = SystemClock().now_ms()
    over: Traffic
    if stored.stored:
        over = traffic.stored_traffic(stored, where, series=series, now_ms=now_ms)
    elif simulated.simulate:
        over = traffic.simulated_traffic(simulated, series=series, book=PriceBook.load(limits.prices), now_ms=now_ms)
    else:
        over = traffic.filed_traffic(filed, series=series, book=PriceBook.load(limits.prices), now_ms=now_ms)
    with progress_bar("rehearsing", over.minutes) as on_minutes:
        found = run_judges(over.lines, judges, on_minutes=on_minutes)
    with until_enough():
        if shown.json:
            typer.echo(orjson.dumps(as_json(found, traffic=over.name), option=orjson.OPT_INDENT_2).decode())
        else:
            print_rehearsal(found, traffic=over.name, info=shown.info)
