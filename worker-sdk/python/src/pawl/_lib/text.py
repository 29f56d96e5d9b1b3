"""Texts: escaping, lengths, and where user code is."""

import os
import re
import secrets
import sys
import time
from collections.abc import Callable

_SDK_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARY_FOLDER = os.path.dirname(os.path.abspath(os.__file__))


def exceeds_bytes(text: str, bytes_max: int) -> bool:
    """Whether a text is longer in UTF-8, cheaply where it is short enough to fit anyway."""
    return len(text) * 4 > bytes_max and len(text.encode("utf-8", "surrogatepass")) > bytes_max


def _percent(match: "re.Match[str]") -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8", "surrogatepass"))


def escape_chars(text: str, reserved: "re.Pattern[str]") -> str:
    """Percent-escapes every character that `reserved` matches."""
    return reserved.sub(_percent, text)


def clip(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else f"{text[:chars_max]}…"


def clip_bytes(text: str, bytes_max: int) -> str:
    """The longest prefix that fits, with a mark where something is missing."""
    if not exceeds_bytes(text, bytes_max):
        return text
    return text.encode()[: bytes_max - 3].decode(errors="ignore") + "…"


def is_well_formed(text: str) -> bool:
    """Whether it has no lone surrogates; cheap where there is none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def well_formed(text: str) -> str:
    """The text with U+FFFD for each lone surrogate; two halves that meet become their character."""
    if text.isascii() or is_well_formed(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def flaw_of(text: str) -> str:
    """What keeps a text from being a name or a key: NUL, which PostgreSQL cannot store, or half of a
    surrogate pair, which UTF-8 cannot say; with its position. Empty where there is nothing of the kind.
    """
    if "\0" not in text and (text.isascii() or is_well_formed(text)):
        return ""
    for position, char in enumerate(text, 1):
        if char == "\0":
            return f"a NUL as character {position}"
        if "\ud800" <= char <= "\udfff":
            return f"half of a surrogate pair as character {position}"
    return ""


_SPACE = re.compile("[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+")


def collapse_space(text: str) -> str:
    """The text on one line: every run of white space is one space, and none is at the ends. What counts
    as white space is the same list in all SDKs.
    """
    return _SPACE.sub(" ", text).strip(" ")


def shown(read: Callable[[], object], otherwise: str) -> str:
    """What a foreign object gives as text. Reading it runs code of its own, which may raise anything."""
    try:
        return well_formed(str.__str__(str(read())))
    except BaseException as error:
        return f"{otherwise} ({type(error).__name__} while it was read)"


def call_site() -> str:
    """Where user code called the SDK, as file:line."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((_SDK_FOLDER, _LIBRARY_FOLDER, "<frozen")):
            return f"{name}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "an unknown place"


def uuid7() -> str:
    """A UUIDv7: the time in ms, then random bits."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
