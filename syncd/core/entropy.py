"""How dense bytes are: what tells an encrypted file from the document that it was. Pure."""

from collections import Counter
from math import log2

SAMPLE = 4096
"""Bytes that are looked at of a file: its beginning."""
_LEAST = 64
"""Bytes below which nothing can be told."""
_PLAIN = 0.8
_DENSE = 0.93


def density(sample: bytes) -> float:
    """Shannon entropy, as a share of the most that so many bytes can have: text is below 0.75, what was
    compressed or encrypted above 0.95."""
    total = len(sample)
    if total < 2:
        return 0.0
    entropy = -sum(count / total * log2(count / total) for count in Counter(sample).values())
    return entropy / min(8.0, log2(total))


def jumps(before: bytes, after: bytes) -> bool:
    """Did content that was not dense become so? Zeros are no content."""
    if min(len(before), len(after)) < _LEAST or not before.strip(b"\0"):
        return False
    return density(before) < _PLAIN and density(after) > _DENSE
