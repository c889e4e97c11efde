"""Others act on the account: liquidation, deleveraging, a close by hand, more sold, positions that do not match."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.scenarios.market_table import at
from tests.trading.rough import (
    NEW_SIGNAL,
    QUIET,
    STOP_HIT,
    TARGET_HIT,
    RoughVenue,
    Watcher,
    assert_in_order,
    make_engine,
    play,
    world,
)
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.domain.errors import ExchangeError
from your_short_trade_margin_call.domain.messages import (
    AccountView,
    Executed,
    Execution,
    Order,
    OrderChanged,
    OrderRequest,
    PositionView,
)
from your_short_trade_margin_call.domain.words import ExecutionKind, OrderStatus, OrderType, Purpose, Side
from your_short_trade_margin_call.trading.commands import RecordNote

MARKET = world(*[QUIET] * 12)


class Forgetful(RoughVenue):
    """Its position (and with it the wallet) is right, but executions after `forgets_from` are never shown."""

    forgets_from = 10**6

    async def account(self, executions_since_ms: int) -> AccountView:
        view = await super().account(executions_since_ms)
        known = {e.exec_id for e in self.exchange.executions[: self.forgets_from]}
        return replace(view, executions=tuple(e for e in view.executions if e.exec_id in known))

    async def events(self):  # type: ignore[no-untyped-def]
        async for event in super().events():
            known = {e.exec_id for e in self.exchange.executions[: self.forgets_from]}
            if not isinstance(event, Executed) or event.execution.exec_id in known:
                yield event

    def forget(self) -> None:
        self.forgets_from = len(self.exchange.executions)


def adl(lots: int) -> Any:
    def act(venue: RoughVenue) -> None:
        venue.exchange.auto_deleverage(venue.clock.now_ms(), lots, 2_010)

    return act


def test_mode_22_deleveraging_without_our_id_is_the_trades_exit() -> None:
    story = play(MARKET, RoughVenue(MARKET, {"12:15": adl(4)}))
    assert story.reasons == ["closed"]
    assert [detail["kind"] for detail in story.seen.notes("closed_by_others")] == ["adl"]
    assert_in_order(story)


def test_mode_22_deleveraging_of_a_part_leaves_the_rest_guarded() -> None:
    market = world(QUIET, QUIET, QUIET, TARGET_HIT, QUIET)
    story = play(market, RoughVenue(market, {"12:15": adl(2)}))
    assert story.reasons == ["target"]
    assert_in_order(story)


def test_mode_21_liquidation_is_booked_as_such() -> None:
    """The market opens beyond liquidation: the stop comes too late."""
    market = world(QUIET, QUIET, "1120 1125 1100 1122", QUIET, QUIET)
    story = play(market, RoughVenue(market))
    assert story.reasons == ["liquidation"]
    assert_in_order(story)


def test_mode_21_liquidation_unseen_during_an_outage_is_read_from_the_account() -> None:
    market = world(QUIET, QUIET, "1120 1125 1100 1122", QUIET, QUIET, QUIET)

    def silent(venue: RoughVenue) -> None:
        venue.exchange.disconnect(venue.clock.now_ms())

    story = play(market, RoughVenue(market, {"12:12": silent}))
    assert story.reasons == ["liquidation"]
    assert_in_order(story)


def test_mode_21_a_close_by_hand_is_the_trades_exit_and_the_target_goes() -> None:
    venue = RoughVenue(MARKET, {"12:15": lambda v: v.by_hand(Side.BUY, 4, reduce_only=True)})
    story = play(MARKET, venue)
    assert story.reasons == ["closed"]
    assert len(story.seen.notes("closed_by_others")) == 1
    assert story.state.halts == ()
    assert_in_order(story)


def test_mode_37_more_sold_by_hand_stops_entries_and_our_stop_covers_all_of_it() -> None:
    market = world(QUIET, QUIET, QUIET, STOP_HIT, QUIET, QUIET, NEW_SIGNAL, QUIET, TARGET_HIT, QUIET)
    venue = RoughVenue(market, {"12:15": lambda v: v.by_hand(Side.SELL, 2)})
    story = play(market, venue)
    assert story.reasons == ["margin_call", "target"]
    assert story.seen.notes("foreign_order")
    assert [detail["was"] for detail in story.seen.notes("halt_over")] == ["foreign_order"]
    assert_in_order(story)


def test_mode_37_while_somebody_else_is_short_too_nothing_is_entered_and_his_position_is_left_alone() -> None:
    market = world(QUIET, TARGET_HIT, QUIET, QUIET, NEW_SIGNAL, QUIET, QUIET, QUIET)
    venue = RoughVenue(market, {"12:12": lambda v: v.by_hand(Side.SELL, 2)})
    venue.wants_stop = False
    story = play(market, venue)
    assert story.reasons == ["target"]
    assert venue.exchange.position is not None
    assert venue.exchange.position.lots == -2
    assert [reason for reason, _ in story.seen.blocked()] == ["exchange_error"]
    assert story.state.wallet == pytest.approx(venue.exchange.wallet_usdt, abs=1e-8)


def test_mode_37_a_foreign_order_stops_entries_until_it_is_gone() -> None:
    """The second instance, or a hand: a resting order that is not ours."""
    market = world(QUIET, TARGET_HIT, QUIET, QUIET, NEW_SIGNAL, QUIET, QUIET, QUIET, QUIET, QUIET, NEW_SIGNAL, QUIET)

    def puts(venue: RoughVenue) -> None:
        venue.exchange.place(
            OrderRequest("hand", Purpose.ENTRY, Side.SELL, OrderType.LIMIT, 1, price_ticks=4_000, leverage=10.0)
        )

    venue = RoughVenue(market, {"12:18": puts, "12:30": lambda v: v.exchange.cancel("hand")})
    story = play(market, venue)
    assert len(story.seen.notes("foreign_order")) == 1
    assert "hand" in story.seen.notes("foreign_order")[0]["why"]
    assert [reason for reason, _ in story.seen.blocked()] == ["exchange_error"]
    assert len(story.reasons) == 2
    assert_in_order(story)


def test_mode_37_a_foreign_order_that_the_stream_tells_of_stops_the_next_entry() -> None:
    """Nobody waits for the look every second candle: by then an entry would have been made beside it."""
    foreign = Order("1", "by-hand", Side.SELL, OrderType.LIMIT, 1, 0, OrderStatus.NEW, 3_000)

    class Shared(RoughVenue):
        async def account(self, executions_since_ms: int) -> AccountView:
            view = await super().account(executions_since_ms)
            is_there = self.clock.now_ms() >= at("12:06")
            return replace(view, open_orders=(*view.open_orders, foreign)) if is_there else view

    venue = Shared(MARKET, {"12:06": lambda v: [OrderChanged(foreign)]})
    story = play(MARKET, venue, context={"verify_stop": True, "light_every_candles": 0})
    assert not venue.sent(Purpose.ENTRY)
    assert story.seen.blocked() == [("exchange_error", "orders that are not ours: by-hand")]


def test_mode_18_a_position_that_is_gone_without_an_execution_is_accepted_after_bounded_looks() -> None:
    """I5: entries stop, our book follows the exchange, the wallet is the exchange's, the trader is told, once."""

    def vanish(venue: RoughVenue) -> None:
        assert isinstance(venue, Forgetful)
        venue.forget()
        venue.by_hand(Side.BUY, 4, reduce_only=True)

    market = world(*[QUIET] * 8, NEW_SIGNAL, QUIET, QUIET)
    venue = Forgetful(market, {"12:15": vanish})
    story = play(market, venue)
    assert story.reasons == ["closed"]
    assert len(story.seen.notes("position_mismatch")) == 1
    assert story.seen.notes("position_mismatch")[0]["exchange_lots"] == 0
    assert [reason for reason, _ in story.seen.blocked()] == ["exchange_error"]
    assert venue.names().count("account") < 25
    assert_in_order(story)


def test_mode_18_and_12_a_partly_vanished_position_is_closed_for_what_the_exchange_shows() -> None:
    def vanish(venue: RoughVenue) -> None:
        assert isinstance(venue, Forgetful)
        venue.forget()
        venue.by_hand(Side.BUY, 2, reduce_only=True)

    class Remembers(Forgetful):
        async def place(self, request: OrderRequest) -> str:
            if request.purpose is Purpose.CLOSE:
                position = self.exchange.position
                assert position is not None
                assert request.lots <= -position.lots, "more than the exchange shows"
                self.forgets_from = 10**6
                self.hidden = self.exchange.executions[1].exec_id
            return await super().place(request)

        hidden = ""

        async def account(self, executions_since_ms: int) -> AccountView:
            view = await super().account(executions_since_ms)
            return replace(view, executions=tuple(e for e in view.executions if e.exec_id != self.hidden))

    venue = Remembers(MARKET, {"12:15": vanish})
    story = play(MARKET, venue)
    assert story.reasons == ["closed"]
    assert venue.sent(Purpose.CLOSE)[0].lots == 2
    assert_in_order(story)


def test_mode_23_contracts_left_over_after_an_exit_are_bought_back() -> None:
    """More is short than any execution tells: when ours is closed, so is the rest. Flat means exactly 0."""

    def more(venue: RoughVenue) -> None:
        assert isinstance(venue, Forgetful)
        venue.by_hand(Side.SELL, 3)
        venue.hidden = venue.exchange.executions[-1].exec_id

    class Hiding(Forgetful):
        hidden = ""

        async def account(self, executions_since_ms: int) -> AccountView:
            view = await super().account(executions_since_ms)
            return replace(view, executions=tuple(e for e in view.executions if e.exec_id != self.hidden))

        async def events(self):  # type: ignore[no-untyped-def]
            async for event in super().events():
                if not isinstance(event, Executed) or event.execution.exec_id != self.hidden:
                    yield event

    venue = Hiding(MARKET, {"12:15": more})
    story = play(MARKET, venue)
    assert venue.exchange.position is None
    assert sorted(request.lots for request in venue.sent(Purpose.CLOSE)) == [3, 4]
    assert len({request.link_id for request in venue.sent(Purpose.CLOSE)}) == 2
    assert story.reasons == ["closed"]
    assert len(story.seen.notes("position_mismatch")) == 1
    assert story.state.wallet == pytest.approx(venue.exchange.wallet_usdt, abs=0.02)


def test_mode_2_and_17_an_entry_given_up_for_lost_that_fills_later_is_bought_back() -> None:
    """Our own second short would be twice the cap: it is recognised by its id and closed."""
    market = world(QUIET, QUIET, TARGET_HIT, QUIET, QUIET, QUIET, NEW_SIGNAL, *[QUIET] * 6)
    venue = RoughVenue(market)
    lost: list[OrderRequest] = []

    def swallow(name: str, argument: Any) -> None:
        if name == "place" and argument.purpose is Purpose.ENTRY and not lost:
            lost.append(argument)
            from your_short_trade_margin_call.domain.errors import OutcomeUnknownError

            raise OutcomeUnknownError("no answer")

    def arrives(venue: RoughVenue) -> None:
        venue.exchange.place(lost[0])

    venue.trouble = swallow
    venue.hooks[[*_times(market)][12]] = arrives
    story = play(market, venue)
    assert lost
    assert "the order never arrived" in str(story.seen.blocked())
    residual = [request for request in venue.sent(Purpose.CLOSE) if request.link_id.endswith("-C100")]
    assert [request.lots for request in residual] == [lost[0].lots]
    assert any(e.link_id == residual[0].link_id for e in venue.exchange.executions)
    assert venue.exchange.position is None
    assert story.state.wallet == pytest.approx(venue.exchange.wallet_usdt, abs=1e-8)


def _times(market: Any) -> list[int]:
    return [int(time_ms) for time_ms in market.candles.time_ms]


def test_mode_35_an_order_of_ours_that_belongs_to_nothing_is_cancelled() -> None:
    """A target thought lost rests after the trade: a ghost that would reduce the next short."""
    market = world(QUIET, TARGET_HIT, *[QUIET] * 8)
    venue = RoughVenue(market)

    def ghost(venue: RoughVenue) -> None:
        old = venue.sent(Purpose.ENTRY)[0].link_id.replace("-E0", "-E7")
        venue.exchange.place(
            OrderRequest(old, Purpose.ENTRY, Side.SELL, OrderType.LIMIT, 1, price_ticks=4_000, leverage=10.0)
        )

    venue.hooks[_times(market)[7]] = ghost
    story = play(market, venue)
    assert "cancel" in venue.names()
    assert_in_order(story)


def test_mode_23_a_position_at_the_start_that_the_journal_does_not_know_is_refused() -> None:
    venue = RoughVenue(MARKET)
    venue.exchange.on_opening_quote(int(MARKET.candles.time_ms[0]), 1_980.0, check_guards=False)
    venue.by_hand(Side.SELL, 2)
    venue.exchange.drain()
    with pytest.raises(ExchangeError, match="nothing of ours is open"):
        asyncio.run(make_engine(MARKET, Forgetting(venue), SqliteJournal(":memory:"), Watcher()).run())  # type: ignore[arg-type]


class Forgetting:
    """Shows no execution at all."""

    def __init__(self, venue: RoughVenue) -> None:
        self._venue = venue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def account(self, executions_since_ms: int) -> AccountView:
        return replace(await self._venue.account(executions_since_ms), executions=())


def test_drifts_of_wallet_and_liquidation_price_are_told_and_the_wallet_is_taken_over() -> None:
    """A deposit, and a liquidation price that is not our model's: the first is used, the second told once per trade."""

    class Drifting(RoughVenue):
        async def account(self, executions_since_ms: int) -> AccountView:
            view = await super().account(executions_since_ms)
            position: PositionView | None = view.position
            if position is not None:
                position = replace(position, liquidation_ticks=position.liquidation_ticks + 10)
            return replace(view, wallet_usdt=view.wallet_usdt + 100.0, position=position)

    story = play(MARKET, Drifting(MARKET))
    assert len(story.seen.notes("liquidation_drift")) == 1
    assert [round(d["by_usdt"], 6) for d in story.seen.notes("wallet_adjusted")] == [100.0]
    assert story.state.wallet == pytest.approx(story.venue.exchange.wallet_usdt + 100.0, abs=1e-8)


def test_looks_are_taken_every_second_candle_or_never() -> None:
    counts = {}
    for every in (0, 1, 2):
        venue = RoughVenue(MARKET)
        play(MARKET, venue, context={"light_every_candles": every})
        counts[every] = venue.names().count("account")
    assert counts[0] == 1
    assert counts[2] == 1 + len(MARKET.candles) // 2
    assert counts[1] == 1 + len(MARKET.candles)


class KilledError(BaseException):
    """The process is gone."""


def test_mode_18_and_20_a_restart_that_finds_our_short_gone_accepts_it_and_goes_on() -> None:
    """The journal says open, the exchange says flat, and no execution tells why: no endless failing start."""

    def vanish(venue: RoughVenue) -> None:
        assert isinstance(venue, Forgetful)
        venue.forget()
        venue.by_hand(Side.BUY, 4, reduce_only=True)
        raise KilledError

    venue, journal = Forgetful(MARKET, {"12:15": vanish}), SqliteJournal(":memory:")
    with pytest.raises(KilledError):
        play(MARKET, venue, journal)
    story = play(MARKET, venue, journal)
    assert [row["exit_reason"] for row in journal.trades()] == ["closed"]
    assert len(story.seen.notes("position_mismatch")) == 1
    assert_in_order(story)
    again = play(MARKET, venue, journal)  # and a third start finds all in order
    assert again.seen.notes("position_mismatch") == []
    assert again.state.halts == ()


def test_what_a_start_finds_is_noted_at_its_own_moment() -> None:
    """Before the first candle the market has told no time: the clock's stands in, not the year 1970."""

    def dies(venue: RoughVenue) -> None:
        venue.exchange.amend_stop(0)
        venue.wants_stop = False
        raise KilledError

    venue, journal = RoughVenue(MARKET, {"12:15": dies}), SqliteJournal(":memory:")
    with pytest.raises(KilledError):
        play(MARKET, venue, journal)
    story = play(MARKET, venue, journal)
    noted = [r.time_ms for r in story.seen.records if isinstance(r, RecordNote) and r.kind == "stop_missing"]
    assert [moment >= at("12:15") for moment in noted] == [True]
    assert_in_order(story)


def test_a_start_that_is_flat_on_both_sides_is_not_held_up_by_half_of_what_others_traded() -> None:
    """The list goes back only so far: it shows the sale of somebody's long, and not the purchase before it."""

    class HalfTold(RoughVenue):
        async def account(self, executions_since_ms: int) -> AccountView:
            view = await super().account(executions_since_ms)
            sale = Execution("half", "", ExecutionKind.TRADE, Side.SELL, 3, 2_000.0, 0.1, False, view.time_ms, 0)
            return replace(view, executions=(sale, *view.executions))

    market = world(*[QUIET] * 6, TARGET_HIT, QUIET)
    story = play(market, HalfTold(market))
    assert story.state.halts == ()
    assert story.state.stray.lots == 0
