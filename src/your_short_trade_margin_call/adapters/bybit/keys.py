"""API keys: read from the environment or from a file that only its owner can read, and never shown to anyone."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from platformdirs import user_config_path

from your_short_trade_margin_call.domain.errors import SettingError
from your_short_trade_margin_call.domain.words import Account

FILE_VARIABLE = "SHORTEST_PEAK_KEYS_FILE"
_ON_WINDOWS = os.name == "nt"
_LARGEST_FILE = 64 << 10


class Keys:
    """One account's key and secret. Neither shows up in a repr, a str, a pickle or `vars`."""

    __slots__ = ("key", "secret")

    key: str
    secret: str

    def __init__(self, key: str, secret: str) -> None:
        """Take a key and its secret.

        Raises:
            SettingError: one of them is empty or has characters that no key has (it is not repeated in the text).
        """
        for name, text in (("key", key), ("secret", secret)):
            if not (text and text.isascii() and text.isprintable() and " " not in text):
                raise SettingError(f"The API {name} is empty or has odd characters.", "Copy it from Bybit again.")
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "secret", secret)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("keys never change")

    def __repr__(self) -> str:
        return "Keys(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are never written anywhere")


def load_keys(account: Account, environment: Mapping[str, str], file: Path | None = None) -> Keys:
    """The keys of an account; each kind of account has its own names, never interchangeable.

    A file named on the command line comes first, then ``BYBIT_<ACCOUNT>_API_KEY`` and ``_API_SECRET``, then the file
    that ``SHORTEST_PEAK_KEYS_FILE`` names, then ``keys.toml`` in the user's configuration folder. A file holds one
    table an account: ``[mainnet]`` with ``key`` and ``secret``.

    Args:
        account: demo, testnet or mainnet.
        environment: the environment variables.
        file: a file named on the command line.

    Raises:
        SettingError: there are no keys, only half of them, or the file is unreadable or open to others.
    """
    if account is Account.PAPER:
        raise SettingError("A paper account has no keys.", "Choose --account demo, testnet or mainnet.")
    if file is None:
        found = _from_environment(account, environment)
        if found is not None:
            return found
    path = file or keys_file(environment)
    if file is None and not path.exists() and FILE_VARIABLE not in environment:
        key, secret = variables(account)
        raise SettingError(f"There are no keys for {account}.", f"Set {key} and {secret}, or write them to {path}.")
    return _from_file(account, path)


def variables(account: Account) -> tuple[str, str]:
    """The names of the environment variables for an account's key and secret."""
    prefix = f"BYBIT_{account.value.upper()}_API"
    return f"{prefix}_KEY", f"{prefix}_SECRET"


def keys_file(environment: Mapping[str, str]) -> Path:
    """Where the keys file is looked for when none is named."""
    named = environment.get(FILE_VARIABLE)
    return Path(named).expanduser() if named else user_config_path("shortest-peak", appauthor=False) / "keys.toml"


def _from_environment(account: Account, environment: Mapping[str, str]) -> Keys | None:
    names = variables(account)
    key, secret = (environment.get(name, "").strip() for name in names)
    if not key and not secret:
        return None
    if not key or not secret:
        missing, given = names if secret else names[::-1]
        raise SettingError(f"{given} is set but {missing} is not.", f"Set {missing} too.")
    return Keys(key, secret)


def _from_file(account: Account, path: Path) -> Keys:
    table = _tables(_private_text(path), path).get(account.value)
    if not isinstance(table, dict):
        raise SettingError(f"{path} has no [{account.value}] table.", 'Write [account], key = "...", secret = "..."')
    pair = table.get("key"), table.get("secret")
    if not isinstance(pair[0], str) or not isinstance(pair[1], str):
        raise SettingError(f"[{account.value}] in {path} lacks its key or secret.", 'Write key = "...", secret = "..."')
    return Keys(pair[0].strip(), pair[1].strip())


def _private_text(path: Path) -> str:
    """The file's text; refused when anyone but its owner may read it. What is checked is what is read."""
    try:
        with path.open("rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_FILE:
                raise SettingError(f"{path} is no keys file.", "Name a small TOML file.")
            if not _ON_WINDOWS:
                _check_owner(path, status)
            return opened.read(_LARGEST_FILE).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
    raise SettingError(f"The keys file {path} cannot be read: {reason}.", "Check the path and its permissions.")


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.getuid():
        raise SettingError(f"{path} belongs to somebody else.", f"Copy it to a file of your own, then chmod 600 {path}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise SettingError(f"{path} can be read by others.", f"chmod 600 {path}")


def _tables(text: str, path: Path) -> dict[str, Any]:
    # The parser's own error may carry the file's text, so it is dropped, chain and all.
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        pass
    raise SettingError(f"{path} is not readable TOML.", 'Write [mainnet], then key = "..." and secret = "..."')
