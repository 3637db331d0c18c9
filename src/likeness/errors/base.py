"""What all errors have, and the one of the settings."""

from __future__ import annotations

from typing import ClassVar


class LikenessError(Exception):
    """Base of all errors raised on purpose.

    `message` says what happened and with which value; `hint`, where there is one, says what to do next.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries in worker pools: keep the hint, which Exception's own pickling drops.
        return (_rebuild, (type(self), self.message, self.hint))

    def as_dict(self) -> dict[str, str]:
        """The error as plain data: `code`, `message` and, where there is one, `hint`."""
        data = {"code": self.code, "message": self.message}
        if self.hint:
            data["hint"] = self.hint
        return data


def _rebuild(kind: type[LikenessError], message: str, hint: str | None) -> LikenessError:
    return kind(message, hint=hint)


class SettingsError(LikenessError):
    """A setting has a name or value that cannot be used."""

    code, exit_code, http_status = "settings_invalid", 2, 500
