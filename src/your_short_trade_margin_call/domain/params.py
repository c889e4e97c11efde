"""One parameter set of the strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.words import ExitType


@dataclass(frozen=True, slots=True)
class StrategyParams:
    """What a trial fixes. Fractions, not percent; `max_hold_ms` and `stop_loss_pct` are off when None.

    Raises:
        SettingError: a value is out of range.
    """

    highest_high_lookback: int
    exit_type: ExitType
    risk_fraction: float
    take_profit_pct: float
    stop_loss_pct: float | None = None
    max_hold_ms: int | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "exit_type", ExitType(self.exit_type))
        except ValueError:
            names = ", ".join(ExitType)
            raise SettingError(f"exit_type {self.exit_type!r} is unknown.", f"Use one of {names}.") from None
        self._require(self.highest_high_lookback >= 1, "highest_high_lookback", "1 or more candles")
        self._require(0 < self.risk_fraction <= 1, "risk_fraction", "above 0 and at most 1")
        self._require(0 < self.take_profit_pct < 1, "take_profit_pct", "between 0 and 1 (0.0044 is 0.44%)")
        self._require(
            self.stop_loss_pct is None or 0 < self.stop_loss_pct <= 10,
            "stop_loss_pct",
            "above 0, at most 10 (1000%), or null",
        )
        self._require(self.max_hold_ms is None or self.max_hold_ms > 0, "max_hold", "above 0, or null")

    def _require(self, holds: bool, name: str, wanted: str) -> None:
        if not holds:
            raise SettingError(f"{name} is out of range.", f"It must be {wanted}.")


def params_as_dict(params: StrategyParams) -> dict[str, Any]:
    """Parameters as JSON-able data."""
    return {
        "highest_high_lookback": params.highest_high_lookback,
        "exit_type": str(params.exit_type),
        "risk_fraction": params.risk_fraction,
        "take_profit_pct": params.take_profit_pct,
        "stop_loss_pct": params.stop_loss_pct,
        "max_hold_ms": params.max_hold_ms,
    }


def params_from_dict(data: dict[str, Any]) -> StrategyParams:
    """The parameters written by `params_as_dict`."""
    return StrategyParams(**{**data, "exit_type": ExitType(data["exit_type"])})
