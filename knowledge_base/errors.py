"""Errors that end at a user, in one tree; the message is one sentence a user can act on.

    FrontdeskError                 work began and failed (exit code 1)
    ├── InputError                 nothing was done: wrong flag, file, folder or model (exit code 2)
    │   ├── SnapshotError          a knowledge home that is missing, altered or of another encoder
    │   ├── InUseError             somebody else writes to the knowledge home
    │   ├── ChangedError           somebody else has changed the entry
    │   └── EncoderError           the encoder is missing or altered
    └── (chatbot.errors adds the rest)

Form of a message: where: expected X, got Y. Do Z.
"""

from __future__ import annotations


class FrontdeskError(Exception):
    """Work began and failed; the text is shown to the user as it stands."""

    exit_code = 1


class InputError(FrontdeskError):
    """Nothing was done, because what was given cannot be used."""

    exit_code = 2


class SnapshotError(InputError):
    """A knowledge snapshot is missing, altered, or was built with another encoder."""


class InUseError(InputError):
    """Somebody else writes to the knowledge home at this moment."""


class ChangedError(InputError):
    """Somebody else has changed the entry since it was opened."""


class EncoderError(InputError):
    """The sentence encoder is missing, altered or not usable."""
