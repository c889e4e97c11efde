"""Reading the documentation: pages, code blocks, tables, links, numbers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
OVERVIEW = ROOT / "notes" / "strategy_overview.md"
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def all_pages() -> list[Path]:
    """Every page that belongs to the project."""
    top = [path for path in ROOT.glob("*.md") if path.name in ("README.md", "CHANGELOG.md")]
    return sorted([*top, *(ROOT / "notes").rglob("*.md"), *DOCS.rglob("*.md")])


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str | None = None) -> list[Block]:
    found = [Block(match[1], match[2]) for match in _BLOCK.finditer(text_of(page))]
    return found if language is None else [block for block in found if block.language == language]


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return _BLOCK.sub("", text_of(page))


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def section(page: Path, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    level, lines, found = 0, [], False
    for line in prose(page).splitlines():
        depth = len(line) - len(line.lstrip("#"))
        if found and 0 < depth <= level:
            break
        if found:
            lines.append(line)
        elif depth and line.lstrip("# ").strip() == heading:
            found, level = True, depth
    assert found, f"{name_of(page)} has no section {heading!r}"
    return "\n".join(lines)


def table(text: str, number: int = 0) -> list[list[str]]:
    """Cells of the `number`-th table of a text, without its head."""
    tables: list[list[list[str]]] = []
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows:
            tables.append(rows[2:])
            rows = []
    return tables[number]


def code(cell: str) -> str:
    """A cell without the marks of code and weight."""
    return cell.replace("`", "").replace("**", "")


def numbers(text: str) -> list[str]:
    """Every number of a text as it is written, without its sign."""
    return [found.lstrip("+-").rstrip(",") for found in _NUMBER.findall(text)]


def run_program(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the program as a reader would, in a folder of its own."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SHORTEST_PEAK_", "COLUMNS"))
    }
    environment |= {"PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"}
    environment["SHORTEST_PEAK_DATA_DIR"] = str(folder / "data" / "your")
    environment["SHORTEST_PEAK_ENDPOINT"] = "http://127.0.0.1:9"  # nobody answers there: no test asks Bybit
    command = [sys.executable, "-m", "your_short_trade_margin_call", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )
