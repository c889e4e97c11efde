"""Ctrl-C at any moment of a loop's life."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.patience import PATIENCE_S
from your_short_trade_margin_call.adapters.event_loop import run_async

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """As at a terminal: whoever runs the tests may have told this process not to hear it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_what_the_work_returns_or_raises() -> None:
    async def answers() -> int:
        return 42

    async def fails() -> None:
        raise ValueError("it is wrong")

    assert run_async(answers()) == 42
    with pytest.raises(ValueError, match="it is wrong"):
        run_async(fails())


def test_ctrl_c_while_it_works() -> None:
    async def works() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(PATIENCE_S)

    with pytest.raises(KeyboardInterrupt):
        run_async(works())


def test_ctrl_c_in_the_moment_in_which_the_loop_takes_over_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    honest = signal.signal

    def pressed_at_once(number: int, handler: Callable[..., Any] | int | None) -> Any:
        before = honest(number, handler)
        if callable(handler) and handler is not signal.default_int_handler:
            signal.raise_signal(signal.SIGINT)
        return before

    async def works() -> None:
        begun.append("it")

    monkeypatch.setattr(signal, "signal", pressed_at_once)
    with pytest.raises(KeyboardInterrupt):
        run_async(works())
    assert begun == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
