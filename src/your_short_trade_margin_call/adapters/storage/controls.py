"""The trader's standing wishes for a pair, in a small file that a second process may change at any time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from your_short_trade_margin_call.adapters.storage.files import make_way, read_json, write_json
from your_short_trade_margin_call.domain.errors import ArtefactError, DiskError

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Controls:
    """`paused`: no entries. `flatten`: close what is open. `note` is not empty when the file was not understood."""

    paused: bool = False
    flatten: bool = False
    note: str = ""


def read_controls(path: Path) -> Controls:
    """The wishes in `path`; without a file there are none.

    What cannot be read or understood counts as paused: nobody trades on an unknown wish. The file is left
    where it is, because a second look that found none would lift the pause.
    """
    try:
        document = read_json(path, move_corrupt=False)
    except (ArtefactError, DiskError) as error:
        return _unknown(error.message)
    return Controls() if document is None else _parsed(path, document)


def write_controls(path: Path, controls: Controls) -> None:
    """Write the wishes atomically; a corrupt file in the way is kept aside first.

    Raises:
        DiskError: they could not be written; the old ones still hold.
    """
    make_way(path)
    write_json(path, {"schema_version": SCHEMA_VERSION, "paused": controls.paused, "flatten": controls.flatten})


def _parsed(path: Path, document: dict[str, Any]) -> Controls:
    version = document.pop("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        return _unknown(f"{path} has schema_version {version!r}, this program knows {SCHEMA_VERSION}.")
    # A misspelt "paused" must not read as "go on".
    if strange := sorted(document.keys() - {"paused", "flatten"}):
        return _unknown(f"{path} holds an unknown wish: {', '.join(strange)}.")
    if not all(isinstance(value, bool) for value in document.values()):
        return _unknown(f"{path}: paused and flatten must be true or false.")
    return Controls(**document)


def _unknown(reason: str) -> Controls:
    return Controls(
        paused=True, note=f"{reason} Paused until it is mended: run `shortest-peak resume` to write it anew."
    )
