"""Does a gateway do what its own OpenAPI says? Schemathesis makes up requests, good and bad, and judges the answers.

The requests are the same each time. ``make fuzz`` takes its time over others: it sets the two variables.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.gateways import running_gateway
from tests.rooms import ROOT

from spendgauge.producers.gateway.keys import add_key
from spendgauge.schemas import SystemClock

EXAMPLES = os.environ.get("SPENDGAUGE_EXAMPLES", "10")
SEED = os.environ.get("SPENDGAUGE_FUZZ_SEED", "1")


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """No answer is unannounced, of another form or a 5xx; what breaks the schema is refused, in a list by its place;
    without a key all is 401.

    One check is left out, ``positive_data_acceptance``: what the schema allows is not always an event, since JSON
    Schema cannot say that a time must be recent, or that reasoning is a part of the output.
    """
    keys = tmp_path / "keys.toml"
    token = add_key(keys, "fuzz", fixed={}, allowed={}, now_ms=SystemClock().now_ms())
    with running_gateway(
        tmp_path,
        *("--keys", str(keys)),
        token=token,
        gateway_requests_per_second=1e9,
        gateway_events_per_second=1e9,
    ) as gateway:
        done = subprocess.run(
            [
                *(Path(sys.executable).with_name("st"), "--no-color", "run"),
                *(f"http://127.0.0.1:{gateway.port}/openapi.json", "--header", f"Authorization: Bearer {token}"),
                *("--checks", "all", "--exclude-checks", "positive_data_acceptance", "--continue-on-failure"),
                *("--max-examples", EXAMPLES, "--seed", SEED),
                *("--request-timeout", "60", "--suppress-health-check", "too_slow"),  # a busy machine is no finding
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.contract.gateway_bodies"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert "6 selected / 6 total" in done.stdout
        assert "Traceback" not in gateway.log.read_text()
