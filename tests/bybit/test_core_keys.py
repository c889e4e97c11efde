"""Keys: where they come from, who may read the file, and that they never show."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.bybit.core_server import KEYS, Answerer, code, cut_off, dropped, ok, silent, status, talking
from your_short_trade_margin_call.adapters.bybit.keys import Keys, keys_file, load_keys
from your_short_trade_margin_call.adapters.bybit.signing import Signer
from your_short_trade_margin_call.adapters.bybit.wire import OrderAck
from your_short_trade_margin_call.domain.errors import ExchangeError, SettingError
from your_short_trade_margin_call.domain.words import Account

FILE = """
[mainnet]
key = "mainKey"
secret = "mainSecret"

[demo]
key = "demoKey"
secret = "demoSecret"
"""
needs_modes = pytest.mark.skipif(os.name == "nt", reason="Windows keeps permissions elsewhere")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(FILE, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_each_account_has_variables_of_its_own() -> None:
    environment = {
        "BYBIT_MAINNET_API_KEY": "m",
        "BYBIT_MAINNET_API_SECRET": "ms",
        "BYBIT_DEMO_API_KEY": " d ",
        "BYBIT_DEMO_API_SECRET": "ds\n",
    }
    mainnet, demo = load_keys(Account.MAINNET, environment), load_keys(Account.DEMO, environment)
    assert (mainnet.key, mainnet.secret, demo.key, demo.secret) == ("m", "ms", "d", "ds")


def test_nothing_found_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    others = {"BYBIT_DEMO_API_KEY": "d", "BYBIT_DEMO_API_SECRET": "ds"}
    if keys_file(others).exists():
        pytest.skip("this computer has keys of its own")
    with pytest.raises(SettingError, match="BYBIT_TESTNET_API_KEY and BYBIT_TESTNET_API_SECRET") as caught:
        load_keys(Account.TESTNET, others)
    assert "shortest-peak" in str(caught.value)
    assert "keys.toml" in str(caught.value)


@pytest.mark.parametrize(("given", "missing"), [("KEY", "SECRET"), ("SECRET", "KEY")])
def test_half_a_pair_is_named(given: str, missing: str) -> None:
    with pytest.raises(SettingError, match=f"BYBIT_DEMO_API_{given} is set but BYBIT_DEMO_API_{missing} is not"):
        load_keys(Account.DEMO, {f"BYBIT_DEMO_API_{given}": "x"})


def test_paper_has_no_keys(file: Path) -> None:
    with pytest.raises(SettingError, match="paper"):
        load_keys(Account.PAPER, {}, file)


def test_a_file_and_who_comes_first(file: Path) -> None:
    environment = {"BYBIT_DEMO_API_KEY": "d", "BYBIT_DEMO_API_SECRET": "ds", "SHORTEST_PEAK_KEYS_FILE": str(file)}
    assert load_keys(Account.DEMO, environment, file).key == "demoKey"
    assert load_keys(Account.DEMO, environment).key == "d"
    assert load_keys(Account.MAINNET, environment).key == "mainKey"


@needs_modes
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o610, 0o777])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(SettingError) as caught:
        load_keys(Account.MAINNET, {}, file)
    assert caught.value.cure == f"chmod 600 {file}"


@needs_modes
def test_a_file_of_somebody_else_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    with pytest.raises(SettingError, match="somebody else"):
        load_keys(Account.MAINNET, {}, file)


@needs_modes
def test_a_file_may_be_stricter(file: Path) -> None:
    file.chmod(0o400)
    assert load_keys(Account.MAINNET, {}, file).key == "mainKey"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[testnet]\nkey='x'\nsecret='hushhush'", r"no \[mainnet\]"),
        ("mainnet = 'hushhush'", r"no \[mainnet\]"),
        ("[mainnet]\nsecret='hushhush'", "lacks"),
        ("[mainnet]\nkey=1\nsecret='hushhush'", "lacks"),
        ("[mainnet]\nkey='x'\nsecret='hushhush", "TOML"),
        ("[mainnet]\nkey=''\nsecret='hushhush'", "empty or has odd"),
        ('[mainnet]\nkey="x"\nsecret="hush\\u00e9hush"', "odd"),
        ('[mainnet]\nkey="a\\r\\nX: y"\nsecret="hushhush"', "odd"),
    ],
)
def test_a_bad_file_is_refused_without_showing_what_is_in_it(file: Path, text: str, says: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingError, match=says) as caught:
        load_keys(Account.MAINNET, {}, file)
    assert "hush" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.cure


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"#" * 100_000])
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "k.toml"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(SettingError):
        load_keys(Account.MAINNET, {}, path)
    with pytest.raises(SettingError):
        load_keys(Account.MAINNET, {"SHORTEST_PEAK_KEYS_FILE": str(path)})
    with pytest.raises(SettingError):
        load_keys(Account.MAINNET, {}, tmp_path)


# ---- they never show ---------------------------------------------------------------------------


def hides(text: str) -> bool:
    return KEYS.key not in text and KEYS.secret not in text


def test_keys_do_not_show_and_cannot_be_written_down() -> None:
    @dataclass(frozen=True)
    class Holder:
        keys: Keys

    signer = Signer(KEYS, 5_000)
    for thing in (KEYS, Holder(KEYS), [KEYS], {"a": KEYS}, signer):
        assert hides(repr(thing))
        assert hides(str(thing))
        assert hides(f"{thing}")
    for write in (pickle.dumps, copy.deepcopy, msgspec.json.encode):
        with pytest.raises(TypeError) as caught:
            write(KEYS)
        assert hides(str(caught.value))
    with pytest.raises(TypeError):
        vars(KEYS)
    with pytest.raises(AttributeError):
        KEYS.key = "other"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and all that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def shown(error: BaseException) -> str:
    """All that a log or a crash report could show of it."""
    texts = traceback.format_exception(error)
    for each in chain(error):
        texts += [repr(each), str(each), repr(each.args), repr(vars(each))]
    return "".join(texts)


@pytest.mark.parametrize(
    "trouble",
    [
        dropped,
        cut_off,
        silent,
        status(401),
        status(403),
        status(500),
        code(10004, f"error sign! origin_string[1700000000000{KEYS.key}5000category=linear]"),
        code(10003, f"API key {KEYS.key} is invalid."),
        code(10001, f"params error {KEYS.key}"),
        ok({"orderId": [KEYS.key]}),
    ],
)
def test_a_failing_request_shows_no_key_anywhere_in_its_chain(trouble: Answerer) -> None:
    async def run() -> None:
        async with talking() as (server, rest):
            server.plan("/v5/order/create", trouble)
            asked: list[Any] = [
                rest.post("/v5/order/create", {"category": "linear"}, OrderAck, is_exit=True),
                rest.get("/v5/order/create", {"category": "linear"}, OrderAck, signed=True, is_exit=True),
            ]
            for request in asked:
                with pytest.raises(ExchangeError) as caught:
                    await request
                assert hides(shown(caught.value))
                assert [type(each) for each in chain(caught.value)] == [type(caught.value)]
            assert hides(repr(rest) + repr(vars(rest)))
            for heard in server.heard:
                assert hides(heard.query)

    asyncio.run(run())
