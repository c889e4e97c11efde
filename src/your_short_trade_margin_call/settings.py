"""Every setting, validated, in one tree: a TOML file, then the environment, then the command line.

Names are flat, so that `--set name=value`, `SHORTEST_PEAK_NAME=value` and `name = value` in the file
all mean the same. Fractions may be typed ``0.44%``; durations ``12h``, ``90m``, ``30s`` or ``2d``.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import os
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.spans import CANDLE_MS, DAY_MS, HOUR_MS, MINUTE_MS
from your_short_trade_margin_call.domain.words import Adopt, ExitType

LONGEST_MS = 3_650 * DAY_MS
"""Ten years: no duration is longer."""
MOST_TRIALS = 1_000_000
"""The largest grid of one sweep."""
MOST_USDT = 1e12
"""The largest balance: a cent of it is still a number of its own."""
ENVIRONMENT_PREFIX = "SHORTEST_PEAK_"

_UNITS_MS = {"ms": 1, "s": 1_000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$")
# Variables that share the prefix without being settings.
_NOT_SETTINGS = {"data_dir", "endpoint", "keys_file", "no_evidence"}


def parse_fraction(value: object) -> object:
    """``0.44%`` as 0.0044; anything else unchanged."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip()[:-1]) / 100.0
        except ValueError:
            raise ValueError("a fraction is written 0.0044 or 0.44%") from None
    return value


def parse_duration_ms(value: object) -> object:
    """``12h`` as 43,200,000; a plain number is milliseconds already; anything else unchanged."""
    if isinstance(value, str) and (match := _DURATION.match(value)):
        return round(float(match[1]) * _UNITS_MS[match[2]])
    if isinstance(value, str) and not value.strip().isdigit():
        raise ValueError("a duration is written 12h, 90m, 30s or 2d")
    return value


Model = TypeVar("Model", bound=BaseModel)
Fraction = Annotated[float, BeforeValidator(parse_fraction)]
DurationMs = Annotated[int, Field(le=LONGEST_MS), BeforeValidator(parse_duration_ms)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        """Refuse ``daily_loss = true``: as the number 1 it would be a limit that no loss reaches."""
        is_switch = info.field_name is not None and cls.model_fields[info.field_name].annotation is bool
        values = value if isinstance(value, list | tuple) else (value,)
        if not is_switch and any(isinstance(one, bool) for one in values):
            raise ValueError("true and false are no numbers")
        return value


class ParameterGrid(_Frozen):
    """The parameter sets of a sweep: every combination, in the order lookback, exit type, risk, take profit."""

    highest_high_lookback: tuple[Annotated[int, Field(ge=1)], ...] = (10, 20, 30, 40, 50, 60, 70)
    exit_type: tuple[ExitType, ...] = (ExitType.HIGHEST_LOW, ExitType.LOWEST_HIGH, ExitType.MIDPOINT)
    risk_fraction: tuple[Annotated[Fraction, Field(gt=0, le=1)], ...] = (0.5, 0.7, 0.85, 0.95)
    take_profit_pct: tuple[Annotated[Fraction, Field(gt=0, lt=1)], ...] = (0.0022, 0.0044, 0.0060, 0.0080)
    stop_loss_pct: tuple[Annotated[Fraction, Field(gt=0, le=10)] | None, ...] = (None,)
    max_hold: tuple[Annotated[DurationMs, Field(gt=0)] | None, ...] = (None,)

    def __len__(self) -> int:
        """Number of trials."""
        size = 1
        for values in self.__dict__.values():
            size *= len(values)
        return size

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read a grid: a list of values an axis, or a range ``{start, stop, step}`` or ``{start, stop, count}``.

        Raises:
            SettingError: the file cannot be read or names something unknown.
        """
        raw = read_toml(path)
        axes = raw.get("grid", raw)
        if axes is not raw and (beside := ", ".join(sorted(raw.keys() - {"grid"}))):
            raise SettingError(f"{path}: {beside} stands beside [grid], not in it.", "Write every axis below [grid].")
        if not isinstance(axes, dict):
            raise SettingError(f"{path}: grid is not a table.", "Begin it with [grid], then one line an axis.")
        return validated(cls, {name: _axis(name, value) for name, value in axes.items()})

    def model_post_init(self, _context: Any) -> None:
        """Refuse empty axes, and values that occur twice: their trials are copies, and pass for good neighbours.

        Raises:
            SettingError: one of these, or more trials than a sweep takes.
        """
        for name, values in self.__dict__.items():
            if not values:
                raise SettingError(f"The grid's {name} is empty.", "Give it at least one value.")
            if len(set(values)) < len(values):
                twice, _ = Counter("null" if value is None else value for value in values).most_common(1)[0]
                raise SettingError(f"The grid's {name} names {twice} more than once.", "Name each value once.")
        if len(self) > MOST_TRIALS:
            raise SettingError(f"The grid has {len(self):,} trials; {MOST_TRIALS:,} is the most.", "Make it coarser.")


class Settings(_Frozen):
    """All settings. Defaults are the published ones (README); money in USDT, `_bps` in basis points."""

    # The account
    starting_balance: float = Field(
        472.0, gt=0, le=MOST_USDT, validation_alias=AliasChoices("starting_balance", "balance")
    )
    leverage: float = Field(3.0, ge=1, le=200)
    max_available_frac: Fraction = Field(0.9, gt=0, le=1)
    # What the market charges
    spread_bps: float = Field(2.0, ge=0, le=1_000)
    slippage_bps: float = Field(3.0, ge=0, le=1_000)
    order_reject_prob: Fraction = Field(0.01, ge=0, le=1)
    taker_fee_rate: Fraction = Field(0.00055, ge=0, lt=0.1)
    maker_fee_rate: Fraction = Field(0.0002, ge=-0.01, lt=0.1)
    # The strategy's fixed parts
    min_take_profit_pct: Fraction = Field(0.0022, ge=0, lt=1)
    fill_on_touch: bool = False
    margin_call_at: Annotated[Fraction, Field(gt=0, lt=1)] | None = 0.9
    stop_loss_pct: Annotated[Fraction, Field(gt=0, le=10)] | None = None
    max_hold: Annotated[DurationMs, Field(gt=0)] | None = None
    # Limits on losses: off by default
    daily_loss: Annotated[Fraction, Field(gt=0, le=1)] | None = None
    max_drawdown: Annotated[Fraction, Field(gt=0, le=1)] | None = None
    cooldown: Annotated[DurationMs, Field(gt=0)] | None = None
    # The cycle
    window: DurationMs = Field(DAY_MS, ge=CANDLE_MS)
    reoptimize: Annotated[DurationMs, Field(ge=CANDLE_MS)] | None = DAY_MS // 2
    adopt: Adopt = Adopt.ALWAYS
    stale_after: DurationMs = Field(2 * CANDLE_MS, ge=1_000)
    # Luck, and the invented market
    seed: int = Field(42, ge=0, lt=2**63)
    edge: float = Field(0.0, ge=-5, le=5)

    @property
    def candle_ms(self) -> int:
        """Length of a candle in milliseconds."""
        return CANDLE_MS

    def replace(self, **changes: object) -> Settings:
        """A copy with changes, validated again."""
        return validated(Settings, {**self.model_dump(), **changes})

    def fingerprint(self) -> str:
        """Hash of all settings, as 16 hex digits: equal settings, equal hash."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def validated(model: type[Model], values: dict[str, Any]) -> Model:
    """Build a settings model, turning pydantic's complaints into a named error with a suggestion.

    Raises:
        SettingError: naming the setting, what was wrong and what was probably meant.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, list(model.model_fields), n=1)
            cure = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(model.model_fields)}."
            raise SettingError(f"There is no setting called {name!r}.", cure) from None
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise SettingError(f"{name}={first['input']!r} does not fit:", f"{reason}.") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise SettingError("A setting cannot be read:", f"{error}.") from None


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        SettingError: the file is absent or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from None
    except (ValueError, RecursionError) as error:  # no TOML, no text, or numbers and nesting beyond all measure
        raise SettingError(f"{path} is not valid TOML: {error}.", "Mend that line.") from None


def load_settings(
    config: Path | None = None,
    assignments: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
) -> Settings:
    """Settings from a TOML file, then the environment, then `--set` assignments; the later wins.

    Raises:
        SettingError: something is unknown, of the wrong type or out of range.
    """
    values = _canonical(read_toml(config)) if config else {}
    values = {name: _nothing(value) if isinstance(value, str) else value for name, value in values.items()}
    variables = os.environ if environment is None else environment
    named = {key[len(ENVIRONMENT_PREFIX) :].lower(): text for key, text in variables.items() if _is_ours(key)}
    values |= _canonical({name: _nothing(text) for name, text in named.items() if name not in _NOT_SETTINGS})
    return validated(Settings, values | _canonical(assignments or {}))


def _is_ours(variable: str) -> bool:
    return variable.startswith(ENVIRONMENT_PREFIX)


def _canonical(values: dict[str, Any]) -> dict[str, Any]:
    """Each layer under the settings' own names, so that the later layer wins under either name.

    Raises:
        SettingError: one layer says the same thing under both names.
    """
    if {"balance", "starting_balance"} <= values.keys():
        raise SettingError("balance and starting_balance are one setting, given twice.", "Leave one of them out.")
    return {("starting_balance" if name == "balance" else name): value for name, value in values.items()}


def parse_assignments(texts: list[str]) -> dict[str, Any]:
    """``["leverage=5", "margin_call_at=null"]`` as a dictionary.

    Raises:
        SettingError: a text is not of the form name=value.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise SettingError(f"--set {text!r} is not of the form name=value.", "Try --set leverage=5.")
        values[name.strip().replace("-", "_")] = _nothing(value.strip())
    return values


def _nothing(text: str) -> str | None:
    return None if text.lower() in ("null", "none", "never") else text


# ---- the axes of a grid -----------------------------------------------------------------------------


def _axis(name: str, written: Any) -> list[Any]:
    """The values of an axis: of a list, of a range, or of a list with ranges in it."""
    values: list[Any] = []
    if name not in ParameterGrid.model_fields:
        return values  # the grid itself will say what it does not know
    for one in written if isinstance(written, list) else [written]:
        if isinstance(one, dict):
            values += _range(name, one)
        else:
            values.append(_nothing(one) if isinstance(one, str) else one)
    return values


def _range(name: str, written: dict[str, Any]) -> list[float | int]:
    """The values from start to stop, both included where the steps reach it."""
    if name == "exit_type":
        raise SettingError("The grid's exit_type has no range.", 'Write a list: ["highest_low", "midpoint"].')
    if set(written) not in ({*_ENDS, "step"}, {*_ENDS, "count"}):
        raise SettingError(f"The grid's {name} is not a range.", _example(name))
    numbers = {key: _number(name, value) for key, value in written.items()}
    if not all(map(math.isfinite, numbers.values())) or numbers["stop"] < numbers["start"]:
        raise SettingError(f"The grid's {name} is not a range.", "It needs step > 0 and stop >= start.")
    values = _stepped(name, **numbers) if "step" in numbers else _counted(name, **numbers)
    return [round(x) for x in values] if name in _WHOLE and all(x == round(x) for x in values) else values


_ENDS = ("start", "stop")
_WHOLE = ("highest_high_lookback", "max_hold")
_EXAMPLES = {
    "highest_high_lookback": "start = 10, stop = 70, step = 10",
    "max_hold": 'start = "1h", stop = "12h", step = "1h"',
}


def _example(name: str) -> str:
    ends, _, step = _EXAMPLES.get(name, "start = 0.002, stop = 0.008, step = 0.001").rpartition(", ")
    return f"Write {{{ends}, {step}}}, or {{{ends}, count = 4}}."


def _number(name: str, value: object) -> float:
    try:
        number = parse_duration_ms(value) if name == "max_hold" else parse_fraction(value)
        if isinstance(number, bool):
            raise TypeError
        return float(number)  # type: ignore[arg-type]  # whatever is no number raises
    except (TypeError, ValueError):
        raise SettingError(f"The grid's {name} is not a range: {value!r} is no number.", _example(name)) from None


def _stepped(name: str, start: float, stop: float, step: float) -> list[float]:
    if step <= 0:
        raise SettingError(f"The grid's {name} is not a range.", "It needs step > 0 and stop >= start.")
    if (stop - start) / step >= MOST_TRIALS:
        raise SettingError(f"The grid's {name} has more than {MOST_TRIALS:,} values.", "Make its step larger.")
    return [round(start + k * step, 12) for k in range(int((stop - start) / step + 1e-9) + 1)]


def _counted(name: str, start: float, stop: float, count: float) -> list[float]:
    """So many values, evenly spaced; whole numbers are rounded where they do not come out even."""
    if count != round(count) or count < 1 or (count == 1) != (start == stop):
        raise SettingError(
            f"The grid's {name} cannot have {count:g} values.", "Give count = 2 or more (1 if stop = start)."
        )
    if count > MOST_TRIALS:
        raise SettingError(f"The grid's {name} has more than {MOST_TRIALS:,} values.", "Make its count smaller.")
    n = int(count)
    values = [round(start + (stop - start) * k / max(1, n - 1), 12) for k in range(n)]
    if name not in _WHOLE:
        return values
    whole = [float(round(x)) for x in values]
    if len(set(whole)) < n:
        raise SettingError(f"The grid's {name} has no {n:,} whole numbers from {start:g} to {stop:g}.",
                           "Make its count smaller.")  # fmt: skip
    return whole
