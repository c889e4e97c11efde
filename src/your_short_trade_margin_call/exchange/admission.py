"""Which orders the exchange accepts: the checks of a request, in an exchange's order, each with its own code."""

from __future__ import annotations

from dataclasses import replace

from your_short_trade_margin_call.domain.messages import OrderRequest
from your_short_trade_margin_call.domain.words import OrderType, Side
from your_short_trade_margin_call.exchange.book import TRIGGERED, UNCHANGED, Book, Position, Quote, Triggers
from your_short_trade_margin_call.exchange.refusals import RefusalCode, refusal
from your_short_trade_margin_call.rules.costs import notional, sell_fill
from your_short_trade_margin_call.rules.grid import STEP_TOLERANCE
from your_short_trade_margin_call.rules.luck import ENTRY_SLIPPAGE, is_rejected, slippage_bps
from your_short_trade_margin_call.rules.margin import order_cost, tier_of
from your_short_trade_margin_call.rules.terms import TIER_LIMIT, TIER_MAX_LEVERAGE, Contract, Terms

LONGEST_LINK_ID = 36


def admit(
    request: OrderRequest,
    book: Book,
    available_usdt: float,
    contract: Contract,
    terms: Terms,
    quote: Quote,
    take_profit_ticks: int | None = None,
) -> None:
    """Return if the exchange takes the order, and the take profit that it brings.

    Raises:
        OrderRefusedError: with the code of the first check that failed.
    """
    attached = Triggers(request.attached_stop_ticks, take_profit_ticks)
    _check_form(request, attached, book)
    if request.reduce_only:
        _check_exit(request, book.position, quote)
        return
    _check_quantity(request, contract, quote)
    _check_leverage(request, book, contract, terms, quote)
    _check_balance(request, available_usdt, contract, terms, quote)
    check_attached(request, attached, terms, quote)
    if is_rejected(terms.luck_key, quote.moment.candle_ms, terms.order_reject_prob):
        raise refusal(RefusalCode.ORDER_REJECTED, "The exchange rejected the order.")


def admit_changed(
    request: OrderRequest,
    filled_lots: int,
    others: Book,
    available_usdt: float,
    contract: Contract,
    terms: Terms,
    quote: Quote,
) -> None:
    """Return if the exchange takes the new quantity and price of an open order; `others` is the book without it.

    Raises:
        OrderRefusedError: with the code of the first check that failed.
    """
    if request.lots <= filled_lots:
        raise refusal(RefusalCode.BAD_REQUEST, f"{filled_lots} lots are filled already.")
    if request.order_type is OrderType.LIMIT and (request.price_ticks or 0) < 1:
        raise refusal(RefusalCode.BAD_REQUEST, "A limit order needs a price of 1 tick or more.")
    if request.reduce_only:
        _check_exit(request, others.position, quote)
        return
    _check_quantity(request, contract, quote)
    rest = replace(request, lots=request.lots - filled_lots)
    _check_leverage(rest, others, contract, terms, quote)
    _check_balance(rest, available_usdt, contract, terms, quote)


def wanted_leverage(request: OrderRequest, terms: Terms) -> float:
    """The leverage an entry asks for; that of the settings when it names none."""
    return float(terms.leverage if request.leverage is None else request.leverage)


def entry_fill_ticks(terms: Terms, quote: Quote) -> int:
    """Where a market sell fills at this quote."""
    slippage = slippage_bps(terms.luck_key, quote.moment.candle_ms, ENTRY_SLIPPAGE, terms.slippage_bps)
    return int(sell_fill(quote.mid_ticks, terms.spread_bps, slippage))


def check_stop_side(trigger_ticks: int, entry_ticks: float, mark_ticks: float) -> None:
    """Refuse a stop that lies below the entry and not above the mark: it would guard nothing.

    Bybit refuses every stop at or below the mark. Here one at or above the entry is taken even then, and fires at
    the next check: at high leverage on coarse ticks a margin call may lie within a tick of the opening price,
    and the rules fire such a stop at once. A refusal would make the replay differ from the backtest.

    Raises:
        OrderRefusedError: `stop_wrong_side`.
    """
    if trigger_ticks <= mark_ticks and trigger_ticks < entry_ticks:
        raise refusal(
            RefusalCode.STOP_WRONG_SIDE, f"A stop at {trigger_ticks} ticks is below the mark and below the entry."
        )


def check_take_profit_side(trigger_ticks: int, market_ticks: float) -> None:
    """Refuse a take profit that does not lie below the market, or below the entry that it travels in.

    Raises:
        OrderRefusedError: `take_profit_wrong_side`.
    """
    if trigger_ticks >= market_ticks:
        raise refusal(
            RefusalCode.TAKE_PROFIT_WRONG_SIDE, f"A take profit at {trigger_ticks} ticks is not below {market_ticks:g}."
        )


def check_cap(leverage: float, book: Book, contract: Contract, quote: Quote) -> None:
    """Refuse a leverage beyond what the tier of the position and the resting entries allows, valued at the mark.

    Raises:
        OrderRefusedError: `leverage`.
    """
    held = sum(placed.open_lots for placed in book.open_orders.values() if placed.is_entry)
    held += book.position.size if book.position else 0
    _check_cap(leverage, notional(contract, held, quote.mark_ticks), contract)


def check_attached(request: OrderRequest, attached: Triggers, terms: Terms, quote: Quote) -> None:
    """Refuse a stop below, or a take profit not below, the price of the entry that they travel in.

    Raises:
        OrderRefusedError: `stop_wrong_side` or `take_profit_wrong_side`.
    """
    if attached == UNCHANGED:
        return
    is_limit = request.order_type is OrderType.LIMIT
    fill = reference_ticks(request, quote) if is_limit else float(entry_fill_ticks(terms, quote))
    if attached.stop is not None and attached.stop < fill:
        raise refusal(RefusalCode.STOP_WRONG_SIDE, "The attached stop lies below the price of the entry.")
    if attached.take_profit is not None:
        check_take_profit_side(attached.take_profit, fill)


def _check_form(request: OrderRequest, attached: Triggers, book: Book) -> None:
    if book.knows(request.link_id):
        raise refusal(RefusalCode.DUPLICATE_LINK_ID, f"The id {request.link_id!r} was used before.")
    if not 1 <= len(request.link_id) <= LONGEST_LINK_ID:
        raise refusal(RefusalCode.BAD_REQUEST, f"An id has 1 to {LONGEST_LINK_ID} characters.")
    if request.side is Side.BUY and not request.reduce_only:
        raise refusal(RefusalCode.SHORT_ONLY, "Every buy must be reduce-only: this account is short only.")
    if request.order_type is OrderType.LIMIT and (request.price_ticks or 0) < 1:
        raise refusal(RefusalCode.BAD_REQUEST, "A limit order needs a price of 1 tick or more.")
    if request.order_type in TRIGGERED and (not request.reduce_only or (request.trigger_ticks or 0) < 1):
        raise refusal(RefusalCode.BAD_REQUEST, f"A {request.order_type} order is reduce-only and needs a trigger.")
    if request.reduce_only and attached != UNCHANGED:
        raise refusal(RefusalCode.BAD_REQUEST, "A stop or a take profit travels inside an entry only.")


def _check_exit(request: OrderRequest, position: Position | None, quote: Quote) -> None:
    """Exits are exempt from the smallest and largest quantity (Bybit splits large ones), not from being positive."""
    if position is None or request.side is not Side.BUY:
        raise refusal(RefusalCode.REDUCE_ONLY, "There is no position that this order would reduce.")
    if request.lots < 1:
        raise refusal(RefusalCode.BELOW_MIN_QTY, "An order is for 1 lot or more.")
    if request.order_type is OrderType.STOP_MARKET and request.trigger_ticks is not None:
        check_stop_side(request.trigger_ticks, position.entry_ticks, quote.mark_ticks)
    if request.order_type is OrderType.TAKE_PROFIT_MARKET and request.trigger_ticks is not None:
        check_take_profit_side(request.trigger_ticks, quote.mid_ticks)


def _check_quantity(request: OrderRequest, contract: Contract, quote: Quote) -> None:
    if request.lots < max(1, contract.min_lots):
        raise refusal(RefusalCode.BELOW_MIN_QTY, f"The smallest order is {contract.min_lots} lots.")
    if request.lots > contract.max_lots:
        raise refusal(RefusalCode.ABOVE_MAX_QTY, f"The largest order is {contract.max_lots} lots.")
    if notional(contract, request.lots, reference_ticks(request, quote)) < contract.min_notional_usdt:
        raise refusal(RefusalCode.BELOW_MIN_NOTIONAL, f"An order is worth {contract.min_notional_usdt} USDT or more.")


def reference_ticks(request: OrderRequest, quote: Quote) -> float:
    """The price at which an entry's value and cost are counted: the mid, or its own for a limit above that.

    A limit below the market fills at the market, which costs more than its own price would.
    """
    if request.order_type is OrderType.LIMIT and request.price_ticks is not None:
        return max(float(request.price_ticks), quote.mid_ticks)
    return quote.mid_ticks


def _check_leverage(request: OrderRequest, book: Book, contract: Contract, terms: Terms, quote: Quote) -> None:
    """The leverage belongs to the pair: what is open or resting must have it too; the tier of all of it caps it."""
    leverage = wanted_leverage(request, terms)
    entries = [placed for placed in book.open_orders.values() if placed.is_entry]
    in_use = {placed.leverage for placed in entries} | ({book.position.leverage} if book.position else set())
    if in_use - {leverage}:
        raise refusal(RefusalCode.LEVERAGE, "The leverage cannot change while a position or an entry is open.")
    held = sum(placed.open_lots for placed in entries) + (book.position.size if book.position else 0)
    price = reference_ticks(request, quote)
    # The sizing rule takes a quantity within the step tolerance of a tier's limit as inside it; so does this check.
    slack = STEP_TOLERANCE * notional(contract, 1, price)
    value = notional(contract, request.lots + held, price)
    value -= slack + 1e-14 * value
    if value > contract.tiers[-1, TIER_LIMIT]:
        raise refusal(RefusalCode.RISK_LIMIT, "The position would exceed the last risk tier.")
    _check_cap(leverage, value, contract)


def _check_cap(leverage: float, value_usdt: float, contract: Contract) -> None:
    tier = tier_of(contract.tiers, value_usdt)
    cap = min(contract.max_leverage, float(contract.tiers[tier, TIER_MAX_LEVERAGE]))
    if not 1.0 <= leverage <= cap:
        raise refusal(RefusalCode.LEVERAGE, f"Leverage {leverage:g} is not between 1 and {cap:g}.")


def _check_balance(
    request: OrderRequest, available_usdt: float, contract: Contract, terms: Terms, quote: Quote
) -> None:
    price = reference_ticks(request, quote) * contract.tick_size
    is_limit = request.order_type is OrderType.LIMIT
    fee_rate = max(terms.taker_fee_rate, terms.maker_fee_rate) if is_limit else terms.taker_fee_rate
    leverage = wanted_leverage(request, terms)
    cost = order_cost(price, request.lots * contract.lot_size, leverage, fee_rate)
    # An order sized to spend everything may cost a rounding error more than everything.
    slack = STEP_TOLERANCE * max(1.0, order_cost(price, contract.lot_size, leverage, fee_rate)) + 1e-14 * cost
    if cost > available_usdt + slack:
        raise refusal(
            RefusalCode.INSUFFICIENT_BALANCE,
            f"The order needs {cost:.8f} USDT, available are {available_usdt:.8f} USDT.",
        )
