"""Which address an account's exchange is asked at: as typed, as set for this computer, or Bybit's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from your_short_trade_margin_call.domain.words import Account

if TYPE_CHECKING:
    from your_short_trade_margin_call.adapters.bybit.endpoints import Endpoint

ENDPOINT_VARIABLE = "SHORTEST_PEAK_ENDPOINT"
"""The environment variable that stands in for `--endpoint`."""


def chosen_endpoint(
    account: Account, typed: str | None = None, environment: Mapping[str, str] | None = None
) -> Endpoint:
    """The addresses for an account: `--endpoint`, else `$SHORTEST_PEAK_ENDPOINT`, else Bybit's.

    Raises:
        SettingError: the address cannot be read, is not encrypted, or belongs to another kind of account.
    """
    from your_short_trade_margin_call.adapters.bybit.endpoints import endpoint_for

    variables = os.environ if environment is None else environment
    return endpoint_for(account, typed or variables.get(ENDPOINT_VARIABLE) or None)
