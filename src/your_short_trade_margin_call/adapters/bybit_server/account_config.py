"""What an account is like, apart from its money: modes, the key's rights, and what goes wrong on purpose."""

from __future__ import annotations

from dataclasses import dataclass, field

ISOLATED, REGULAR, PORTFOLIO = "ISOLATED_MARGIN", "REGULAR_MARGIN", "PORTFOLIO_MARGIN"
ONE_WAY, HEDGE = 0, 3
DEFAULT_LEVERAGE = 10.0
"""What a pair has before anybody sets it, as on the exchange."""


def trading_permissions() -> dict[str, list[str]]:
    """A key that trades contracts and can do nothing else."""
    return {
        "ContractTrade": ["Order", "Position"],
        "Spot": [],
        "Wallet": [],
        "Options": [],
        "Derivatives": ["DerivativesTrade"],
        "CopyTrading": [],
        "BlockTrade": [],
        "Exchange": [],
        "NFT": [],
        "Affiliate": [],
        "Earn": [],
        "FiatP2P": [],
        "FiatConvertBroker": [],
        "FiatGlobalPay": [],
        "FiatBitPay": [],
        "BitCard": [],
        "ByXPost": [],
    }


@dataclass(slots=True)
class AccountConfig:
    """Knobs that a test or the admin may turn at any time.

    Fee rates of None are those of the settings; a pair takes them over when it is first traded. `expires_at` is ISO
    text, the epoch for "never". `limit_factor` multiplies every limit on requests a second.
    """

    margin_mode: str = ISOLATED
    position_mode: int = ONE_WAY
    unified_status: int = 5
    uta: int = 1
    default_leverage: float = DEFAULT_LEVERAGE
    taker_fee_rate: float | None = None
    maker_fee_rate: float | None = None
    demo: bool = False
    # The key
    permissions: dict[str, list[str]] = field(default_factory=trading_permissions)
    read_only: bool = False
    ips: list[str] = field(default_factory=lambda: ["127.0.0.1"])
    is_address_refused: bool = False
    expires_at: str = "1970-01-01T00:00:00Z"
    deadline_days: int = -2
    is_key_expired: bool = False
    is_key_invalid: bool = False
    is_master: bool = False
    user_id: int = 1_448_939
    limit_factor: float = 1.0

    @property
    def may_trade(self) -> bool:
        """Whether the key may place orders and change positions."""
        return not self.read_only and {"Order", "Position"} <= set(self.permissions.get("ContractTrade", ()))
