"""Answers about the account: wallet, mode, fees, and what the key may do."""

from __future__ import annotations

from msgspec import Struct, field

from your_short_trade_margin_call.adapters.bybit.wire_base import Row, Text, Texts, Whole


class WalletCoin(Row, frozen=True, gc=False):
    """One coin of a wallet."""

    coin: str
    wallet_balance: str
    equity: Text = ""
    locked: Text = ""
    bonus: Text = ""
    borrow_amount: Text = ""
    total_order_im: Text = field(default="", name="totalOrderIM")
    total_position_im: Text = field(default="", name="totalPositionIM")
    total_position_mm: Text = field(default="", name="totalPositionMM")
    unrealised_pnl: Text = ""
    cum_realised_pnl: Text = ""


class Wallet(Row, frozen=True, gc=False):
    """One account's wallet, from ``/v5/account/wallet-balance`` or the stream."""

    coins: list[WalletCoin] = field(name="coin")
    account_type: Text = ""
    total_equity: Text = ""
    total_wallet_balance: Text = ""
    total_available_balance: Text = ""

    def coin(self, name: str) -> WalletCoin | None:
        """The row of one coin; None when the wallet has none of it."""
        return next((row for row in self.coins if row.coin == name), None)


class WalletList(Row, frozen=True, gc=False):
    """``/v5/account/wallet-balance``."""

    rows: list[Wallet] = field(name="list")


class AccountInfo(Row, frozen=True, gc=False):
    """``/v5/account/info``: `unified_margin_status` 5 and 6 are unified accounts of version 2."""

    margin_mode: str
    unified_margin_status: int
    updated_time: Text = ""


class FeeRateRow(Struct, frozen=True, gc=False, rename="camel"):
    """One pair's fee rates, as fractions."""

    symbol: str
    taker_fee_rate: str
    maker_fee_rate: str


class FeeRateList(Struct, frozen=True, gc=False):
    """``/v5/account/fee-rate``."""

    rows: list[FeeRateRow] = field(name="list")


class ApiKeyInfo(Row, frozen=True, gc=False):
    """``/v5/user/query-api``: what a key may do, from where and for how long. Never the key itself."""

    read_only: int
    permissions: dict[str, list[str]]
    ips: Texts = field(default_factory=list)
    type: Whole = 0
    deadline_day: int | None = None
    expired_at: Text = ""
    created_at: Text = ""
    unified: Whole = 0
    uta: Whole = 0
    user_id: int | None = field(default=None, name="userID")
    is_master: bool | None = None
    parent_uid: Text = ""
    vip_level: Text = ""
