"""What a verb may raise at a user: bad input, or a check that does not hold."""


class InputError(ValueError):
    """Input that cannot be used: one line naming the field, its value and what is allowed (exit code 2)."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        super().__init__(f"{field}: {value!r} is not allowed; allowed: {allowed}")


class CheckError(Exception):
    """The thing that was checked does not hold (exit code 1)."""
