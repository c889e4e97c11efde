"""Every relative link leads somewhere, and every name a page mentions exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, all_pages, code, links, name_of, prose, table, text_of

PAGES = all_pages()
IDS = [name_of(page) for page in PAGES]
NAMING = [DOCS / "architecture.md", *sorted((DOCS / "decisions").glob("*.md"))]

_IN_CODE = re.compile(r"`([^`\n]+)`")
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_PATH = re.compile(r"(?:[\w*-]+/)+[\w.*-]*|\w+\.(?:py|toml)")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_resolve(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://", "#")):
            continue
        target = (page.parent / link.partition("#")[0]).resolve()
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        assert target.exists(), f"{link} leads nowhere"


def test_every_page_can_be_reached() -> None:
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        ahead += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if "://" not in link]
    assert set(PAGES) - reached == set()


@cache
def sources() -> str:
    """All that a page may speak of."""
    here = Path(__file__).parent
    files = [
        ROOT / "pyproject.toml",
        *(path for folder in ("src", "tests") for path in sorted((ROOT / folder).rglob("*.py"))),
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in files if here not in path.parents)


@cache
def words() -> frozenset[str]:
    """Every word of them."""
    return frozenset(re.findall(r"\w+", sources()))


def exists(path: str) -> bool:
    """Whether a path is one of the project's, from its root or from the package."""
    package = ROOT / "src" / "your_short_trade_margin_call"
    return any(any(base.glob(path.rstrip("/"))) for base in (ROOT, package))


@pytest.mark.parametrize("page", NAMING, ids=[name_of(page) for page in NAMING])
def test_names_exist(page: Path) -> None:
    """A function that was renamed must not live on in the documentation."""
    for text in _IN_CODE.findall(prose(page)):
        if text.startswith(("data/", "<", "--", ".")) or "<" in text or text.endswith((".json", ".parquet")):
            continue  # artefacts and options are checked by running the program
        if _PATH.fullmatch(text):
            assert exists(text), f"{text} is no path of the project"
        elif _NAME.fullmatch(text):
            assert text.split(".")[-1] in words(), f"nothing is called {text}"


def test_every_room_is_described() -> None:
    """The table of rooms names every room there is, and none that is not."""
    package = ROOT / "src" / "your_short_trade_margin_call"
    rooms = {path.name for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    said = {code(name).rstrip("/") for row in table(text_of(NAMING[0])) for name in row[0].split(", ")}
    assert said == rooms - {"__init__.py", "__main__.py"}
