"""Checks of a key and its account before real trading. Pure: rows in, checks out.

The program changes nothing about an account but the leverage of the pair: a margin mode or a position mode that
does not fit is refused, with the place to click.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from your_short_trade_margin_call.adapters.bybit.wire import (
    AccountInfo,
    ApiKeyInfo,
    FeeRateRow,
    OrderRow,
    PositionRow,
    Wallet,
)
from your_short_trade_margin_call.domain.checks import Check, failed, passed, warned
from your_short_trade_margin_call.domain.errors import ShortestPeakError
from your_short_trade_margin_call.domain.spans import DAY_MS
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.reporting.text import counted, moment, percent, usdt
from your_short_trade_margin_call.trading.ids import parse_link_id

KEY, PERMISSIONS, IP_BINDING, EXPIRY, OWN_ACCOUNT = "key", "permissions", "IP binding", "expiry", "own account"
UNIFIED, MARGIN_MODE, POSITION_MODE, WALLET = "unified", "margin mode", "position mode", "wallet"
POSITIONS, ORDERS, LEVERAGE, FEES = "positions", "orders", "leverage", "fees"

EXPIRES_SOON_DAYS = 14
SAME_RATE = 1e-9
SAME_QUANTITY = 1e-9

_UNIFIED_STATUS = (5, 6)
_NEEDED = ("Order", "Position")
_KEY_PAGE = "Bybit, account menu, API"
_OWN_STOPS = ("StopLoss", "PartialStopLoss")


@dataclass(frozen=True, slots=True)
class Ours:
    """What the journal of this account and pair holds.

    `quantity` is the open short in base coin (0 when flat), `unbooked` what its entry may have sold beyond that;
    `may_be_entering` when an entry was intended of which nothing is booked; `link_ids` are those of all intents.
    `is_first` when nothing was ever traded here.
    """

    quantity: float = 0.0
    unbooked: float = 0.0
    may_be_entering: bool = False
    link_ids: frozenset[str] = frozenset()
    is_first: bool = True


# ---- the key -------------------------------------------------------------------------------------


def check_key(row: ApiKeyInfo, account: Account, now_ms: int) -> tuple[Check, ...]:
    """What the key may do, from where, for how long, and whose it is."""
    return (
        passed(KEY, f"accepted for {account}"),
        check_permissions(row),
        check_binding(row),
        check_expiry(row, now_ms),
        check_own_account(row, account),
    )


def check_key_refused(account: Account, error: ShortestPeakError) -> Check:
    """The exchange does not accept the key at all; it says the same of a key of another kind of account."""
    name = account.upper()
    return failed(
        KEY,
        f"refused: {error.message}",
        f"{error.cure} BYBIT_{name}_API_KEY and BYBIT_{name}_API_SECRET must be of a {account} account: keys of "
        "mainnet, demo and testnet are never interchangeable.".strip(),
    )


def check_permissions(row: ApiKeyInfo) -> Check:
    """It must be able to trade contracts, and must not be able to take money away."""
    granted = {name: values for name, values in row.permissions.items() if values}
    takes = [f"{name}: {value}" for name, values in granted.items() for value in values if "withdraw" in value.lower()]
    if takes:
        return failed(
            PERMISSIONS,
            f"the key may withdraw ({', '.join(takes)})",
            f"Make a key without any withdrawal permission ({_KEY_PAGE}) and delete this one.",
        )
    if row.read_only:
        return failed(PERMISSIONS, "the key only reads", f"Make a key with Read-Write ({_KEY_PAGE}).")
    missing = [name for name in _NEEDED if name not in granted.get("ContractTrade", [])]
    if missing:
        return failed(
            PERMISSIONS,
            f"Contract {' and '.join(missing)} missing",
            f"Tick Contract: Orders and Positions for this key ({_KEY_PAGE}), and nothing else.",
        )
    return passed(PERMISSIONS, "orders and positions of contracts; no withdrawals")


def check_binding(row: ApiKeyInfo) -> Check:
    """A key bound to addresses is of no use to a thief elsewhere, and does not run out."""
    bound = [address for address in row.ips if address not in ("", "*")]
    if bound:
        return passed(IP_BINDING, f"bound to {counted(len(bound), 'address', 'addresses')}")
    return warned(
        IP_BINDING,
        "the key works from any address, and runs out after 90 days",
        f"Bind it to this computer's address ({_KEY_PAGE}, Edit).",
    )


def check_expiry(row: ApiKeyInfo, now_ms: int) -> Check:
    """A key that runs out in the middle of a position leaves only what rests on the exchange."""
    ends_ms = _moment_ms(row.expired_at)
    if ends_ms is None:
        return passed(EXPIRY, "none")
    days = (ends_ms - now_ms) / DAY_MS
    if days < 0:
        return failed(EXPIRY, f"ended {moment(ends_ms)} UTC", f"Renew the key ({_KEY_PAGE}).")
    found = f"{moment(ends_ms)} UTC, in {counted(int(days), 'day')}"
    if days < EXPIRES_SOON_DAYS:
        return warned(
            EXPIRY, found, f"Renew the key, or bind it to an address: then it does not run out ({_KEY_PAGE})."
        )
    return passed(EXPIRY, found)


def check_own_account(row: ApiKeyInfo, account: Account) -> Check:
    """The wallet and the leverage belong to the program: they are better not those of everything else."""
    if row.is_master is False:
        return passed(OWN_ACCOUNT, "a sub-account")
    if account is Account.DEMO:
        return passed(OWN_ACCOUNT, "a demo account")
    return warned(
        OWN_ACCOUNT,
        "the key is of the master account" if row.is_master else "it is not told whether this is a sub-account",
        "Make a sub-account for the program alone, and move only its capital there.",
    )


# ---- the account ---------------------------------------------------------------------------------


def check_unified(info: AccountInfo, key: ApiKeyInfo) -> Check:
    """Margin is reckoned as in a unified account of the second kind."""
    if info.unified_margin_status in _UNIFIED_STATUS and key.uta == 1:
        return passed(UNIFIED, "a unified trading account")
    return failed(
        UNIFIED,
        f"not a unified trading account 2.0 (unifiedMarginStatus {info.unified_margin_status})",
        "Upgrade it on Bybit (Assets, Upgrade to UTA): the program reckons margin as there.",
    )


def check_margin_mode(info: AccountInfo) -> Check:
    """Isolated, so that one position cannot take the whole wallet. It holds for the account, not for a pair."""
    if info.margin_mode == "ISOLATED_MARGIN":
        return passed(MARGIN_MODE, "isolated")
    names = {"REGULAR_MARGIN": "cross", "PORTFOLIO_MARGIN": "portfolio"}
    return failed(
        MARGIN_MODE,
        f"{names.get(info.margin_mode, info.margin_mode or 'not told')}, for the whole account",
        "Set it yourself, with nothing open: Bybit, Derivatives, the button Cross above the order form, "
        "Isolated Margin, Confirm. The program never switches it.",
    )


def check_position_mode(rows: Sequence[PositionRow]) -> Check:
    """One position a pair: with two (hedge mode) every order would need to say which."""
    if any(row.position_idx != 0 for row in rows):
        return failed(
            POSITION_MODE,
            "hedge mode",
            "Set it yourself: Bybit, Derivatives, Preferences, Position Mode, One-Way Mode. "
            "The program never switches it.",
        )
    return passed(POSITION_MODE, "one-way")


def check_wallet(wallets: Sequence[Wallet], needed_usdt: float, is_first: bool) -> Check:
    """The wallet must hold what the program reckons with; later a shortage is left to the reconciliation."""
    coins = [coin for row in wallets if (coin := row.coin("USDT")) is not None]
    held = sum(float(coin.wallet_balance or 0) for coin in coins)
    found = f"{usdt(held)}, needed {usdt(needed_usdt)}"
    if held >= needed_usdt - 0.01:
        return passed(WALLET, found)
    cure = "Move USDT into this account's Unified Trading wallet, or give less --capital."
    return failed(WALLET, found, cure) if is_first else warned(WALLET, f"{found} by the journal", cure)


# ---- what is open --------------------------------------------------------------------------------


def check_positions(rows: Sequence[PositionRow], symbol: str, ours: Ours) -> Check:
    """Any position that the journal does not know is somebody else's."""
    opened = [row for row in rows if float(row.size or 0)]
    foreign = [row for row in opened if not _is_our_position(row, symbol, ours)]
    if foreign:
        return failed(
            POSITIONS,
            "not this program's: " + "; ".join(f"{row.symbol} {row.side} {row.size}" for row in foreign),
            "Close it by hand, or give the program an account of its own: it trades one pair and nothing else may "
            "share its wallet.",
        )
    if opened:
        is_booked = abs(float(opened[0].size) - ours.quantity) < SAME_QUANTITY
        known = (
            "as the journal says" if is_booked else f"{ours.quantity:.10g} by the journal: trading looks up the rest"
        )
        return passed(POSITIONS, f"{symbol} short {opened[0].size}, {known}")
    return passed(POSITIONS, "none in any market")


def check_orders(rows: Sequence[OrderRow], symbol: str, ours: Ours) -> Check:
    """Any order that is not in the journal is somebody else's."""
    foreign = [row for row in rows if not _is_our_order(row, symbol, ours)]
    if foreign:
        return failed(
            ORDERS,
            "not in this journal: " + "; ".join(_order_text(row) for row in foreign),
            "Cancel it by hand, or give the program an account of its own.",
        )
    return passed(ORDERS, f"{counted(len(rows), 'order')}, this program's" if rows else "none in any market")


def _is_our_position(row: PositionRow, symbol: str, ours: Ours) -> bool:
    """Less than the journal says is ours too: its target, its stop or a hand has met it while nobody looked."""
    if row.symbol != symbol or row.side != "Sell":
        return False
    return ours.may_be_entering or float(row.size) < ours.quantity + ours.unbooked + SAME_QUANTITY


def _is_our_order(row: OrderRow, symbol: str, ours: Ours) -> bool:
    if row.symbol != symbol:
        return False
    is_attached_stop = not row.order_link_id and row.stop_order_type in _OWN_STOPS
    return row.order_link_id in ours.link_ids or (is_attached_stop and (ours.may_be_entering or ours.quantity > 0))


def _order_text(row: OrderRow) -> str:
    whose = " (another journal of this program)" if parse_link_id(row.order_link_id) else ""
    kind = row.stop_order_type if row.stop_order_type in _OWN_STOPS else row.order_type
    return f"{row.symbol} {row.side} {row.qty} {kind}{whose}"


# ---- leverage and fees ---------------------------------------------------------------------------


def check_leverage(shown: str, wanted: float, will_be_set: bool, is_open: bool = False) -> Check:
    """The pair's leverage; the one thing that the program sets itself, and never under an open position."""
    if is_leverage(shown, wanted):
        return passed(LEVERAGE, f"{wanted:g}x")
    found = f"{shown}x" if shown else "not told"
    if is_open:
        return passed(LEVERAGE, f"{found}; it is left so while a position is open")
    if will_be_set:
        return passed(LEVERAGE, f"{found}; trading sets it to {wanted:g}x")
    return failed(LEVERAGE, f"{found} after it was set to {wanted:g}x", "Set it by hand on Bybit's order form.")


def is_leverage(shown: str, wanted: float) -> bool:
    """Whether the exchange shows the leverage that is wanted; it keeps two decimals."""
    return bool(shown) and abs(float(shown) - wanted) < 0.005


def check_fees(row: FeeRateRow | None, taker: float, maker: float) -> Check:
    """The account's own rates against those of the settings."""
    if row is None:
        return warned(
            FEES,
            f"the account does not tell; taker {percent(taker)}, maker {percent(maker)} are used",
            "Compare them with your fee level on Bybit (--set taker_fee_rate=, --set maker_fee_rate=).",
        )
    own_taker, own_maker = float(row.taker_fee_rate), float(row.maker_fee_rate)
    found = f"taker {percent(own_taker)}, maker {percent(own_maker)}"
    if abs(own_taker - taker) < SAME_RATE and abs(own_maker - maker) < SAME_RATE:
        return passed(FEES, found)
    said = f"taker {percent(taker)}, maker {percent(maker)}"
    return passed(FEES, f"{found}: these are used for optimising and trading instead of the settings' {said}")


def _moment_ms(text: str) -> int | None:
    """``2026-01-31T00:00:00Z`` as UTC ms; None for none (1970 stands for it) or what cannot be read."""
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    whole = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    return int(whole.timestamp() * 1_000) if whole.year > 1971 else None
