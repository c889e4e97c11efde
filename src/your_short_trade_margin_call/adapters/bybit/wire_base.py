"""What the structs of `wire.py` are made of: fields that may be missing or null, and rows that put up with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    Text = str
    Whole = int
    Flag = bool
    Texts = list[str]
else:
    # Bybit has sent null for optional fields: accepted here, and replaced by the default in `Row.__post_init__`.
    Text = str | None
    Whole = int | None
    Flag = bool | None
    Texts = list[str] | None

_BLANKS: dict[type, dict[str, Callable[[], Any]]] = {}
"""What stands for null in each row, by field."""


class Row(Struct, frozen=True, gc=False, rename="camel"):
    """Base of rows whose optional fields may be missing or null."""

    def __post_init__(self) -> None:
        blanks = _BLANKS.get(type(self))
        if blanks is None:
            blanks = _BLANKS[type(self)] = _blanks_of(type(self))
        for name, blank in blanks.items():
            if getattr(self, name) is None:
                msgspec.structs.force_setattr(self, name, blank())


def _blanks_of(kind: type[Row]) -> dict[str, Callable[[], Any]]:
    """The defaults, but for those that are None themselves."""
    found: dict[str, Callable[[], Any]] = {}
    for info in msgspec.structs.fields(kind):
        if info.default_factory is not msgspec.NODEFAULT:
            found[info.name] = info.default_factory
        elif info.default is not msgspec.NODEFAULT and info.default is not None:
            found[info.name] = partial(_same, info.default)
    return found


def _same(blank: Any) -> Any:
    return blank
