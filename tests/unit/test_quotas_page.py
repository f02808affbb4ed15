"""Does docs/quotas.md say what a guard is told, and is its example of a quota one?"""

import re
import tomllib

from tests.pages import Page
from tests.rooms import ROOT

from spendgauge.producers.quotas import QuotaSettings
from spendgauge.streams.budgets import parse_quotas

PAGE = Page(ROOT / "docs" / "quotas.md")


def test_the_page_lists_every_setting() -> None:
    """The table has the guard's own settings in order, with default and description."""
    own = {name: field for name, field in QuotaSettings.model_fields.items() if name.startswith("quota_")}
    rows = re.findall(r"^\| `(quota_\w+)` \| `(.*?)` \| (.+) \|$", PAGE.text, re.MULTILINE)
    assert rows == [(name, str(field.default), field.description) for name, field in own.items()]


def test_the_pages_quotas_can_be_used() -> None:
    """What the page writes into budgets.toml is accepted by the watcher."""
    (block,) = (block for block in PAGE.blocks() if block.language == "toml")
    quotas = parse_quotas(block.text)
    assert [quota.name for quota in quotas] == [table["name"] for table in tomllib.loads(block.text)["quota"]]
