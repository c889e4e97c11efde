"""Is a process still there? Asked before its unfinished work is taken over."""

from __future__ import annotations

import os
import sys


def is_alive(pid: int) -> bool:
    """True while a process with this id runs on this computer (another user's counts too)."""
    if pid <= 0:
        return False
    return _windows_alive(pid) if sys.platform == "win32" else _posix_alive(pid)


def _posix_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _windows_alive(pid: int) -> bool:
    """On Windows `os.kill(pid, 0)` would send a Ctrl-C, so the process is opened and waited for, for no time."""
    if sys.platform != "win32":
        raise AssertionError("only on Windows")
    import ctypes
    from ctypes import wintypes

    synchronize, still_running, access_denied = 0x0010_0000, 0x102, 5
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = wintypes.HANDLE(kernel.OpenProcess(synchronize, False, pid))
    if not handle:
        return ctypes.get_last_error() == access_denied
    try:
        return bool(kernel.WaitForSingleObject(handle, 0) == still_running)
    finally:
        kernel.CloseHandle(handle)
