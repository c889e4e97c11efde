"""`doctor`: every check with its cure, and an exit code that a script can act on."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.face import Face
from tests.cli.look_alike import KEY, SECRET, LookAlike, keys_for, look_alike
from your_short_trade_margin_call.adapters.storage.journal import SqliteJournal
from your_short_trade_margin_call.commands import local_checks as here
from your_short_trade_margin_call.domain.checks import CheckStatus
from your_short_trade_margin_call.domain.words import Account
from your_short_trade_margin_call.paths import Paths

PASS, WARN, FAIL = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL


@pytest.fixture(scope="module")
def server() -> Iterator[LookAlike]:
    with look_alike(speed=1.0) as running:
        yield running


@pytest.fixture(autouse=True)
def _as_it_was(server: LookAlike) -> Iterator[None]:
    """Whatever a test turns is turned back."""
    before = server.do(lambda: {name: getattr(server.account.config, name) for name in server.account.config.__slots__})
    yield
    server.configure(**before)
    server.do(server.account.foreign_rows.clear)


def found(answer: object, name: str) -> dict[str, str]:
    checks: list[dict[str, str]] = answer.json["checks"]  # type: ignore[attr-defined]
    return next(check for check in checks if check["name"] == name)


# ---- the whole -----------------------------------------------------------------------------------


def test_on_paper_all_is_well(face: Face, server: LookAlike) -> None:
    answer = face("doctor", "--endpoint", server.url)
    assert answer.code == 0, answer.out
    assert max(map(len, answer.lines)) <= 80
    for name in ("python", "numba", "data folder", "disk space", "journals", "terminal", "keys", "endpoint", "clock",
                 "instrument", "risk tiers"):  # fmt: skip
        assert f"\n  ok    {name} " in answer.out
    assert "0 failures" not in answer.out
    assert f"\nA look-alike of Bybit: {server.url}, BTCUSDT, paper account\n" in answer.out
    assert not face.data.exists(), "it only looks"


def test_a_demo_account(face: Face, server: LookAlike) -> None:
    answer = face("doctor", "btc", "--account", "demo", "--endpoint", server.url, "--json", **keys_for())
    assert answer.code == 0, answer.out
    assert answer.json["ok"]
    assert answer.json["reached"]
    assert answer.json["look_alike"]
    assert len(answer.json["checks"]) == 24
    assert found(answer, "leverage")["found"] == "10x; trading sets it to 3x"
    assert server.do(lambda: server.account.leverage_of("BTCUSDT")) == 10.0, "it changes nothing"


def test_an_exchange_that_cannot_be_reached(face: Face) -> None:
    answer = face("doctor")
    assert answer.code == 3
    assert "\n  FAIL  endpoint " in answer.out
    assert "-> " in answer.out
    machine = face("doctor", "--json")
    assert machine.code == 3
    assert (machine.json["ok"], machine.json["reached"]) == (False, False)


def test_an_account_without_keys(face: Face, server: LookAlike, tmp_path: Path) -> None:
    answer = face("doctor", "--account", "testnet", "--endpoint", server.url, XDG_CONFIG_HOME=str(tmp_path))
    assert answer.code == 1
    assert "FAIL  keys" in answer.out
    assert "BYBIT_TESTNET_API_KEY" in answer.out


@pytest.mark.skipif(os.name == "nt", reason="file modes")
def test_a_keys_file_that_others_can_read(face: Face, server: LookAlike, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[demo]\nkey = "{KEY}"\nsecret = "{SECRET}"\n')
    keys.chmod(0o644)
    typed = ("doctor", "--account", "demo", "--endpoint", server.url, "--keys", keys, "--json")
    answer = face(*typed)
    assert answer.code == 1
    assert "chmod 600" in found(answer, "keys")["cure"]
    keys.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert face(*typed).code == 0


# ---- what may be wrong with an account -----------------------------------------------------------

WRONG = [
    ({"margin_mode": "REGULAR_MARGIN"}, "margin mode", "never switches"),
    ({"position_mode": 3}, "position mode", "never switches"),
    ({"read_only": True}, "permissions", "Read-Write"),
    ({"permissions": {"ContractTrade": ["Order", "Position"], "Wallet": ["Withdraw"]}}, "permissions", "withdrawal"),
    ({"unified_status": 1, "uta": 0}, "unified", "Upgrade"),
    ({"is_key_invalid": True}, "key", "never interchangeable"),
    ({"is_key_expired": True}, "key", "BYBIT_DEMO_API_KEY"),
    ({"expires_at": "2026-01-01T00:00:00Z"}, "expiry", "Renew"),
]


@pytest.mark.parametrize(("knobs", "name", "cure"), WRONG, ids=[f"{row[1]} {n}" for n, row in enumerate(WRONG)])
def test_what_must_be_mended(face: Face, server: LookAlike, knobs: dict[str, object], name: str, cure: str) -> None:
    server.configure(**knobs)
    answer = face("doctor", "--account", "demo", "--endpoint", server.url, "--json", **keys_for())
    assert answer.code == 1
    assert found(answer, name)["status"] == "fail"
    assert cure in found(answer, name)["cure"]


def test_what_should_be_mended(face: Face, server: LookAlike) -> None:
    server.configure(is_master=True, ips=["*"], demo=True)
    answer = face("doctor", "--account", "testnet", "--endpoint", server.url, "--json", **keys_for(Account.TESTNET))
    assert {check["name"] for check in answer.json["checks"] if check["status"] == "warn"} >= {
        "own account",
        "IP binding",
    }


def test_a_foreign_position(face: Face, server: LookAlike) -> None:
    server.do(lambda: server.account.foreign_position("ETHUSDT"))
    answer = face("doctor", "--account", "demo", "--endpoint", server.url, "--json", **keys_for())
    assert answer.code == 1
    assert "ETHUSDT" in found(answer, "positions")["found"]


def test_an_unknown_pair(face: Face, server: LookAlike) -> None:
    answer = face("doctor", "FOOUSDT", "--endpoint", server.url, "--json")
    assert answer.code == 1
    assert "FOOUSDT" in found(answer, "instrument")["found"]


# ---- this computer -------------------------------------------------------------------------------


def test_local_checks_say_what_is_wrong(tmp_path: Path) -> None:
    assert here.check_python((3, 12), "3.12.1").status is PASS
    assert here.check_python((3, 14), "3.14.0").status is FAIL
    assert here.check_python((3, 10), "3.10.0").status is FAIL
    assert here.check_numba(None).status is FAIL
    assert here.check_writable(tmp_path, False).status is FAIL
    assert here.check_space(tmp_path, 10 << 20).status is FAIL
    assert here.check_space(tmp_path, 500 << 20).status is WARN
    assert here.check_space(tmp_path, 5 << 30).status is PASS
    assert here.check_terminal(True, 60, False).status is WARN
    assert here.check_terminal(False, 60, False).status is PASS
    assert here.existing_part(tmp_path / "a" / "b") == tmp_path


def test_a_journal_in_use_is_named(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    with SqliteJournal(paths.journal("BTCUSDT", "paper", "bybit")):
        check = here.check_journals(paths, None)
    assert check.status is WARN
    assert "BTCUSDT paper-bybit" in check.found
    assert here.check_journals(paths, "BTCUSDT").status is PASS
