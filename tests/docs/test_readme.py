"""The README tells the truth: its size, its figures, its sample, its requirements."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import README, ROOT, blocks, numbers, run_program, section, text_of
from tests.docs.worked_trade import worst_loss
from your_short_trade_margin_call.domain.words import BlockReason, Verdict
from your_short_trade_margin_call.settings import ParameterGrid, Settings

TAGLINE = "Short-only Bybit bot that tests whether its own backtest is luck. Paper by default."
MUST_SAY = (
    "Not affiliated with Bybit",
    "No financial advice",
    "No warranty",
    "No telemetry",
    "Simulated results are hypothetical, made with hindsight, and predict nothing",
    "You can lose all assigned capital, quickly",
    "Leveraged derivatives are restricted in many countries",
)
MARK = "SIMULATED "


def flat(text: str) -> str:
    return " ".join(text.split())


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]  # type: ignore[no-any-return]


def test_first_words() -> None:
    lines = [line for line in text_of(README).splitlines() if line and not line.startswith("#")]
    assert lines[0] == TAGLINE
    assert project()["description"] == TAGLINE


def test_one_screen() -> None:
    lines = text_of(README).splitlines()
    assert len(lines) <= 76
    assert max(len(line) for line in lines) <= 120


@pytest.mark.parametrize("sentence", MUST_SAY)
def test_warnings(sentence: str) -> None:
    assert sentence in flat(text_of(README))


def test_says_what_a_verdict_may_be() -> None:
    real, cannot_tell, luck = Verdict
    assert f"{real}, {cannot_tell} or {luck}" in flat(text_of(README))


def test_requirements() -> None:
    assert project()["requires-python"] == ">=3.11,<3.14"
    assert "Needs Python 3.11, 3.12 or 3.13" in text_of(README)


def test_commands() -> None:
    said = blocks(README)[0].text
    assert "make run" in said
    assert "make test" in said


def test_worst_loss() -> None:
    settings, worst = Settings(), worst_loss()
    balance = settings.starting_balance
    assert flat(
        f"With the defaults ({balance:g} USDT, leverage {settings.leverage:g}, at most "
        f"{settings.max_available_frac} of the balance in a trade) one short is worth up to "
        f"{worst.notional:,.2f} USDT, {worst.notional / balance:.1f} times the balance. Bought back by its margin "
        f"call, {100 * worst.call_distance:.1f} % above the entry, it costs {worst.call_loss:.2f} USDT: "
        f"{100 * worst.call_loss / balance:.0f} % of the balance. Liquidated, {100 * worst.liquidation_distance:.1f} % "
        f"above, it costs {worst.liquidation_loss:.2f} USDT: {100 * worst.liquidation_loss / balance:.0f} %."
    ) in flat(text_of(README))


def test_no_other_figure() -> None:
    """Numbers in the words of the README are computed above, are defaults, or are in the sample."""
    prose = flat(text_of(README).replace(sample(), ""))
    known = set(numbers(flat(section(README, "The worst loss of one trade"))))
    known |= {str(len(ParameterGrid())), "24", "12", "3", "3.11", "3.12", "3.13"}
    known |= set(numbers(sample()))
    assert set(numbers(prose)) - known == set()


# ---- the sample ---------------------------------------------------------------------------------


def sample() -> str:
    return next(block.text for block in blocks(README) if MARK.strip() in block.text)


@pytest.fixture(scope="module")
def run_output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real run, as fast as the computer can: its market and its luck are those of the sample."""
    done = run_program(["run", "BTCUSDT", "--market", "simulated", "--speed", "max"], tmp_path_factory.mktemp("run"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sample_is_of_a_real_run(run_output: str) -> None:
    printed = {flat(line) for line in run_output.splitlines()}
    for line in sample().splitlines():
        assert line.strip() == "..." or flat(line) in printed, line


def test_sample_is_in_order_and_marked(run_output: str) -> None:
    printed = [flat(line) for line in run_output.splitlines()]
    places = [printed.index(flat(line)) for line in sample().splitlines() if line.strip() != "..."]
    assert places == sorted(places)
    assert all(line.startswith(MARK.strip()) for line in sample().splitlines() if line.strip() != "...")


def test_the_day_after(run_output: str) -> None:
    """What the README says about the sample holds."""
    last = next(line for line in run_output.splitlines() if " equity " in line and "% of" in line)
    assert "(-" in last
    assert "the day after lost" in text_of(README)


def test_makefile_has_the_targets() -> None:
    makefile: Path = ROOT / "Makefile"
    if not makefile.exists():
        pytest.skip("there is no Makefile yet")
    targets = {line.partition(":")[0] for line in makefile.read_text(encoding="utf-8").splitlines() if ":" in line}
    assert {"run", "test"} <= {name.strip() for target in targets for name in target.split()}


def test_block_reasons_in_the_sample_exist() -> None:
    words = {word.strip(":,") for word in sample().split()}
    assert words & set(map(str, BlockReason))
