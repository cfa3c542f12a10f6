"""How asking a server can fail: for good, for now, or in the body of an answer that says all is well."""


class NoAnswer(Exception):
    """The server will not answer, and asking it again will not help. Says why, without the key."""

    def __init__(self, reason: str, status: int | None = None, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.status = status  # of HTTP, where it was the reason
        self.may_pass = may_pass  # it says nothing about what the server can do: too busy, out of time, no connection
        self.place: int | None = None  # of the request, among those that were asked together


class AskAgain(Exception):
    """The server may answer another time."""

    def __init__(
        self, reason: str, after: float | None = None, status: int | None = None, may_pass: bool = False
    ) -> None:
        super().__init__(reason)
        self.after = after  # seconds the server asked for
        self.status, self.may_pass = status, may_pass  # see NoAnswer

    def given_up(self, more: str = "") -> NoAnswer:
        """The same where it is asked no more."""
        return NoAnswer(f"{self}{more}", self.status, self.may_pass)


class StatusInBody(Exception):
    """A body that reports an error under status 200; `status` is the HTTP status it names, None where it names none."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"status {status}" if status else "an error")
        self.status = status


def shortened(text: str) -> str:
    """In one line of at most 200 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]}..."
