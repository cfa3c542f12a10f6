"""Text of anybody's, a file's or a model's, as a terminal may show it."""


def printable(text: str) -> str:
    """The text with what could steer a terminal shown as its code: '\\x1b[31m'. Line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
