"""Texts: escaping, lengths, and where user code is."""

import os
import re
import secrets
import sys
import time

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
