"""Answers about the account that come in pages: every page is read, or it is an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sized
from typing import Protocol, TypeVar

from your_short_trade_margin_call.domain.errors import ExchangeError

Params = dict[str, str | int | None]
MOST_PAGES = 200


class Page(Protocol):
    """One page of rows, and where the next one begins (nothing on the last)."""

    @property
    def rows(self) -> Sized:
        """What the page holds."""

    @property
    def next_page_cursor(self) -> str:
        """Names the next page."""


PageKind = TypeVar("PageKind", bound=Page)


async def all_pages(ask: Callable[[Params], Awaitable[PageKind]], params: Params, what: str) -> list[PageKind]:
    """Every page, in order; `ask` puts one question, with or without a cursor.

    Raises:
        ExchangeError: no answer, or the pages do not end.
    """
    pages: list[PageKind] = []
    cursor = ""
    while len(pages) < MOST_PAGES:
        page = await ask({**params, "cursor": cursor} if cursor else params)
        pages.append(page)
        if not page.rows or not page.next_page_cursor or page.next_page_cursor == cursor:
            return pages
        cursor = page.next_page_cursor
    raise ExchangeError(f"The pages of {what} do not end.", "Try again; if it stays, report it.")
