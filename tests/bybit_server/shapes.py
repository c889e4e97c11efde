"""Comparing an answer's shape with a recorded one: the same keys, the same types, all the way down.

The recorded answers lie beside the project; tests that want them skip where they are absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "bybit" / "samples"
WHY = f"no recorded answers in {FOLDER.parent.parent.name}/bybit/{FOLDER.name} beside the project"
needs_samples = pytest.mark.skipif(not FOLDER.is_dir(), reason=WHY)

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def sample(name: str) -> Any:
    """A recorded answer: of a text file with remarks, the first JSON document in it."""
    return documents(name)[0]


def documents(name: str) -> list[Any]:
    """Every JSON document of a recorded file, without the remarks and gaps between and inside them."""
    path = next(path for path in (FOLDER / f"{name}.json", FOLDER / f"{name}.txt") if path.exists())
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?m)\s*//.*$|^\s*\.{3,},?\s*$", "", text)
    text = re.sub(r",(\s*[\]}])", r"\1", text)
    found, place = [], text.find("{")
    while place >= 0:
        document, place = json.JSONDecoder().raw_decode(text, place)
        found.append(document)
        place = text.find("{", place)
    return found


def without(recorded: Any, free: Collection[str]) -> Any:
    """The recorded shape, with null (anything) in place of some fields, wherever they are."""
    if isinstance(recorded, dict):
        return {key: None if key in free else without(value, free) for key, value in recorded.items()}
    return [without(value, free) for value in recorded] if isinstance(recorded, list) else recorded


def differences(ours: Any, recorded: Any, *, may_add: frozenset[str] = frozenset(), where: str = "") -> list[str]:
    """Each way in which our shape is not the recorded one, as a sentence; `may_add` are keys newer than the record.

    An empty recorded text allows any text; a recorded number in a text wants a number in a text. Of a recorded list
    the first element is the pattern of all of ours; null allows anything.
    """
    if recorded is None:
        return []
    if isinstance(recorded, dict):
        if not isinstance(ours, dict):
            return [f"{where or 'answer'} is no object"]
        found = [f"{where}.{key} is missing" for key in recorded.keys() - ours.keys()]
        found += [f"{where}.{key} is unknown" for key in ours.keys() - recorded.keys() - may_add]
        for key in recorded.keys() & ours.keys():
            found += differences(ours[key], recorded[key], may_add=may_add, where=f"{where}.{key}")
        return sorted(found)
    if isinstance(recorded, list):
        if not isinstance(ours, list):
            return [f"{where} is no list"]
        if recorded and isinstance(recorded[0], str) and len({len(recorded), len(ours)}) == 2:
            return [f"{where} has {len(ours)} elements instead of {len(recorded)}"]
        return [
            difference
            for k, own in enumerate(ours if recorded else [])
            for difference in differences(own, recorded[0], may_add=may_add, where=f"{where}[{k}]")
        ]
    return _leaf(ours, recorded, where)


def _leaf(ours: Any, recorded: Any, where: str) -> list[str]:
    if type(ours) is not type(recorded):
        return [f"{where} is {type(ours).__name__} {ours!r} instead of {type(recorded).__name__} {recorded!r}"]
    if isinstance(recorded, str) and _NUMBER.fullmatch(recorded) and ours and not _NUMBER.fullmatch(ours):
        return [f"{where} is {ours!r}, no number as in {recorded!r}"]
    return []
