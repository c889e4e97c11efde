"""Every error a user can meet, as one tree. Each carries a cure and the exit code of the command."""

from __future__ import annotations


class ShortestPeakError(Exception):
    """Base of all named errors.

    Args:
        message: what is wrong, in one sentence.
        cure: what to do about it, in one sentence.
    """

    exit_code = 3

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()


class AnswerIsNoError(ShortestPeakError):
    """The command worked and its answer is no."""

    exit_code = 1


class NotAllowedError(ShortestPeakError):
    """A safeguard says no: nothing was sent."""

    exit_code = 1


class BadInputError(ShortestPeakError):
    """The user's input cannot be used as it is."""

    exit_code = 2


class UnknownPairError(BadInputError):
    """The pair cannot be read, or nothing is known about it."""


class SettingError(BadInputError):
    """A setting is unknown, of the wrong type, or out of range."""


class TooCostlyError(BadInputError):
    """Work that takes long, or much of the disk, and nobody agreed to it."""


class CandleError(BadInputError):
    """Candles cannot be used; each defect has its own subclass."""


class MissingColumnError(CandleError):
    """A candle file lacks a column."""


class CandleTypeError(CandleError):
    """A column of a candle file is not numeric."""


class NotACandleFileError(CandleError):
    """The file is absent, unreadable, or neither Parquet nor CSV."""


class EmptyCandlesError(CandleError):
    """There is not a single candle."""


class TooFewCandlesError(CandleError):
    """There are fewer candles than the longest lookback needs."""


class NotFiniteError(CandleError):
    """A price is missing, NaN or infinite."""


class NotPositiveError(CandleError):
    """A price is zero or negative, or a volume is negative."""


class HighBelowLowError(CandleError):
    """A candle's high is below its low, or open or close lie outside them."""


class ImplausiblePriceError(CandleError):
    """A price is so far from its neighbours that no market made it."""


class DisorderError(CandleError):
    """Candles are not in order of time."""


class DuplicateCandleError(CandleError):
    """Two candles with different content share one open time."""


class MisalignedError(CandleError):
    """A candle does not open on the grid of its timeframe."""


class TimeframeError(CandleError):
    """Candles are neither 1-minute nor 3-minute candles."""


class StatisticError(BadInputError):
    """A statistic is not defined for these numbers: too few of them, NaN, or outside what its formula allows."""


class ArtefactError(BadInputError):
    """A JSON artefact is corrupt or of a newer schema; it was kept aside, not overwritten."""


class OutsideError(ShortestPeakError):
    """Something outside failed: network, disk, exchange."""

    exit_code = 3


class DiskError(OutsideError):
    """A file could not be written or read."""


class ClusterError(OutsideError):
    """The cluster cannot be used, or gave up."""


class ClusterUnreachableError(ClusterError):
    """No scheduler answers at the address."""


class NoWorkersError(ClusterError):
    """The cluster has no workers, or lost all of them."""


class DifferentProgramError(ClusterError):
    """A worker runs another version of the program, or of what it reckons with: its results could differ."""


class NotInstalledError(ShortestPeakError):
    """An optional package is asked for and absent."""

    exit_code = 2


class BusyError(OutsideError):
    """Another process holds the journal or the queue."""


class ExchangeError(OutsideError):
    """The exchange refused or failed in a way the caller must know about."""


class OrderRefusedError(ExchangeError):
    """The exchange refused an order: it does not exist there.

    Args:
        message: the exchange's words.
        code: one of `RefusalCode`'s values, as text.
        ret_code: the exchange's own number for it, where it has one.
    """

    def __init__(self, message: str, code: str = "rejected", ret_code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.ret_code = ret_code


class OutcomeUnknownError(ExchangeError):
    """A request may or may not have been carried out: look it up by our id, never send it again blindly."""


class KeyRefusedError(ExchangeError):
    """The exchange does not (or no longer) accept this key: nothing can be sent or asked with it."""


class ForbiddenError(ExchangeError):
    """HTTP 403: too many requests from this address, or the exchange refuses this country."""


class SubscriptionRefusedError(ExchangeError):
    """The exchange refused to stream a topic."""


class BrokenInvariantError(ShortestPeakError):
    """The program's own book-keeping contradicts itself: it stops."""

    exit_code = 3
