"""What is said of a file of limits that cannot be used?"""

from pathlib import Path

import pytest

from spendgauge.schemas import ConfigurationError
from spendgauge.streams.alerting.judge import SpikeJudge
from spendgauge.streams.budgets import BudgetJudge
from spendgauge.streams.judging import Configuration, Judge
from spendgauge.streams.rules import RuleJudge
from spendgauge.streams.watching.files import read_configuration


@pytest.mark.parametrize(
    ("flag", "name", "text"), [("budgets", "limits.toml", "[[budget]]\nname = 'x'"), ("rules", "mine.toml", "[[")]
)
def test_an_error_names_the_file_that_it_is_in(tmp_path: Path, flag: str, name: str, text: str) -> None:
    """What people called their file is what each judge that refuses it calls it."""
    path = tmp_path / name
    path.write_text(text)
    given: dict[str, Path | None] = {"budgets": None, "rules": None, flag: path}
    wrong = read_configuration(budgets=given["budgets"], rules=given["rules"])
    judges = [judge for judge in (SpikeJudge(), BudgetJudge(), RuleJudge(prices=None)) if _refusal(judge, wrong)]
    assert len(judges) == 2
    assert all(_refusal(judge, wrong).startswith(f"{name}") for judge in judges)


def _refusal(judge: Judge, configuration: Configuration) -> str:
    try:
        judge.reload(configuration)
    except ConfigurationError as error:
        return str(error)
    return ""
