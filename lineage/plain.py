"""Text as a page and a log can hold it: what an exception says may be coloured for a terminal."""

import re

# ECMA-48: CSI sequences (colours, cursor), OSC sequences (titles, links), then any control character left but \t, \n.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -~]?|[\x00-\x08\x0b-\x1f\x7f]")


def plain(text: str) -> str:
    """The text without terminal escape sequences and control characters.

    Example:
      plain("\\x1b[1mException\\x1b[0m")  # "Exception"
    """
    return _ESCAPES.sub("", text)
