"""Sizes, durations and percentages as people write them, and back.

Pure. `parse_*` raise ValueError with a message that names a right spelling; `format_*` give text that
`parse_*` reads again (rounded for reading).
"""

import re

_SIZES = {
    "b": 1,
    "k": 1024,
    "kib": 1024,
    "kb": 1000,
    "m": 1024**2,
    "mib": 1024**2,
    "mb": 1000**2,
    "g": 1024**3,
    "gib": 1024**3,
    "gb": 1000**3,
    "t": 1024**4,
    "tib": 1024**4,
    "tb": 1000**4,
}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]{0,3})", re.ASCII)
_DURATION_PART = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|[smhdw])\s*", re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)\s*%?", re.ASCII)

MAX_DURATION_S = 100 * 365 * 86400.0


def parse_duration(text: str) -> float:
    """Seconds of `"300ms"`, `"90s"`, `"1h30m"`, `"30d"`. Units: ms s m h d w, larger ones first."""
    rest, total, last = text.strip().lower(), 0.0, float("inf")
    if not rest:
        raise ValueError('an empty duration; write for example "90s" or "1h30m"')
    while rest:
        part = _DURATION_PART.match(rest)
        if part is None or _SECONDS[part[2]] >= last:
            raise ValueError(f'{text!r} is no duration; write for example "300ms", "90s" or "1h30m"')
        last = _SECONDS[part[2]]
        total += float(part[1]) * last
        rest = rest[part.end() :]
    if total > MAX_DURATION_S:
        raise ValueError(f"{text!r} is longer than 100 years")
    return total


def format_duration(seconds: float) -> str:
    """The two largest units, such as `1h30m`; below a second `300ms`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms" if seconds > 0 else "0s"
    rest, parts = round(seconds), []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
        if len(parts) == 2:
            break
    return "".join(parts)


def parse_size(value: str | int) -> int:
    """Bytes of `"10MiB"`, `"1.5GB"`, `"512"` or 512. K, M, G, T alone are powers of 1024."""
    if isinstance(value, int):
        if value < 0:
            raise ValueError("a size cannot be negative")
        return value
    found = _SIZE.fullmatch(value.strip())
    factor = _SIZES.get(found[2].lower() or "b") if found else None
    if found is None or factor is None:
        raise ValueError(f'{value!r} is no size; write for example "10MiB" or "1.5GB"')
    return round(float(found[1]) * factor) if "." in found[1] else int(found[1]) * factor


def format_size(count: int) -> str:
    """`1536` → `1.5KiB`, with at most one decimal."""
    if count < 1024:
        return f"{count}B"
    size = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1023.95:
            return f"{size:.1f}".removesuffix(".0") + unit
    return f"{size / 1024:.1f}".removesuffix(".0") + "TiB"


def parse_percent(value: str | float) -> float:
    """25, 12.5 or `"25%"`: between 0 and 100."""
    if isinstance(value, str):
        found = _PERCENT.fullmatch(value.strip())
        if found is None:
            raise ValueError(f'{value!r} is no percentage; write for example 25 or "25%"')
        value = float(found[1])
    if not 0 <= value <= 100:
        raise ValueError(f"{value:g} is not between 0 and 100 percent")
    return float(value)
