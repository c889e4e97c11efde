"""Every look at a record, written down: what was looked at shares the 5 % of false REALs, and keeps its share.

A procedure is a pair on a market with a grid, settings and rules of choosing. Its first look gives it a number, for
good, and fixes where its record begins; later looks continue that record, however many they are.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from your_short_trade_margin_call.adapters.storage.files import LOCK_TIMEOUT_S, locked, read_json, write_json
from your_short_trade_margin_call.domain.errors import ArtefactError
from your_short_trade_margin_call.paths import is_real_market

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Look:
    """What is known about a procedure that was looked at. Moments in UTC ms, of the market's time.

    `number` is its place among all procedures ever looked at on markets of its kind; `from_ms` where its record
    begins; `until_ms` where the record ended that was looked at last.
    """

    key: str
    symbol: str
    market: str
    number: int
    from_ms: int
    until_ms: int
    looks: int = 0
    verdict: str = ""


def procedure_key(*parts: object) -> str:
    """A name for a procedure: 16 hex digits of everything that makes it what it is (JSON-able parts)."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


_CURE = "Mend it, or move it away: then counting begins anew."


class Looks:
    """The log in one file, shared by processes: changes happen under a lock and are written atomically.

    Every method may raise BusyError, DiskError and ArtefactError (a newer or corrupt file; nothing is overwritten).
    """

    def __init__(self, path: Path, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self._path = path
        self._lock_timeout_s = lock_timeout_s

    def known(self, key: str) -> Look | None:
        """The procedure with this key whose record was begun last; None when nobody has looked at it."""
        return next((look for look in reversed(self.all()) if look.key == key), None)

    def next_number(self, market: str) -> int:
        """The number that the next procedure on a market of this kind will get."""
        return 1 + sum(_kind(look.market) == _kind(market) for look in self.all())

    def remember(self, look: Look) -> Look:
        """Write a look down; returns it with the number it has, and one look more."""
        with locked(self._path, self._lock_timeout_s):
            looks = self.all()
            same = [k for k, other in enumerate(looks) if (other.key, other.from_ms) == (look.key, look.from_ms)]
            if same:
                before = looks[same[0]]
                told = replace(look, number=before.number, looks=before.looks + 1)
                looks[same[0]] = told
            else:
                told = replace(look, number=1 + sum(_kind(x.market) == _kind(look.market) for x in looks), looks=1)
                looks.append(told)
            write_json(self._path, {"schema_version": SCHEMA_VERSION, "procedures": [asdict(one) for one in looks]})
        return told

    def all(self) -> list[Look]:
        """All procedures, in the order of their first looks."""
        try:
            # Set aside, it would be missed by nobody, and all that was ever looked at forgotten.
            document = read_json(self._path, move_corrupt=False)
        except ArtefactError as error:
            raise ArtefactError(error.message, _CURE) from None
        if document is None:
            return []
        if document.get("schema_version") != SCHEMA_VERSION:
            raise ArtefactError(f"{self._path} is of another version of the program.", "Update it, or move the file.")
        try:
            return [_parsed(item) for item in document["procedures"]]
        except (KeyError, TypeError) as error:
            raise ArtefactError(f"{self._path} cannot be used: {error}.", _CURE) from None


def _parsed(item: dict[str, Any]) -> Look:
    return Look(**item)


def _kind(market: str) -> str:
    """All markets that money is traded at count together; invented ones and look-alikes each for themselves."""
    return "real" if is_real_market(market) else market
