"""Errors of the conversation, beside those of the knowledge base.

FrontdeskError                 work began and failed (exit code 1)
├── StoreError                 the database cannot be used
├── TurnError                  a message cannot be answered now; the text is shown to the customer
│   ├── TooLongError           the message is longer than the limit
│   ├── RateError              too many messages; `retry_after_seconds` says when again
│   └── BusyError              this conversation is being answered already, too many wait, or the models are loading
├── NotLoadedError             the knowledge is still being loaded
├── NotFoundError              no such conversation or message for this visitor
└── InputError                 nothing was done (exit code 2)
    ├── ModelError             the base model is missing, altered or another one
    ├── AdapterError           the adapter is missing, altered or made for another base
    ├── CalibrationError       the calibration is missing, altered or made for another adapter or encoder
    └── SettingsError          a setting is unknown or not valid
"""

from __future__ import annotations

from knowledge_base.errors import EncoderError, FrontdeskError, InputError, SnapshotError

__all__ = [
    "AdapterError",
    "BusyError",
    "CalibrationError",
    "EncoderError",
    "FrontdeskError",
    "InputError",
    "ModelError",
    "NotFoundError",
    "NotLoadedError",
    "RateError",
    "SettingsError",
    "SnapshotError",
    "StoreError",
    "TooLongError",
    "TurnError",
]


class StoreError(FrontdeskError):
    """The database cannot be used."""


class TurnError(FrontdeskError):
    """A message cannot be answered now; the text is shown to the customer."""


class TooLongError(TurnError):
    """The message is longer than the limit."""


class RateError(TurnError):
    """Too many messages in a short time."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BusyError(TurnError):
    """The conversation is being answered already, or too many turns wait."""


class NotFoundError(FrontdeskError):
    """There is no such conversation or message for this visitor."""


class NotLoadedError(FrontdeskError):
    """The knowledge is still being loaded."""


class ModelError(InputError):
    """The base model is missing, altered or another one."""


class AdapterError(InputError):
    """The adapter is missing, altered or made for another base."""


class CalibrationError(InputError):
    """The calibration is missing, altered or made for another adapter or encoder."""


class SettingsError(InputError):
    """A setting is unknown or not valid."""
