"""What tells an encrypted file from a document."""

import base64
import random
import zlib

import pytest

from syncd.core.entropy import density, jumps

NOISE = random.Random(7).randbytes(8192)
TEXT = b"The quick brown fox jumps over the lazy dog, and the dog does not mind. " * 60


@pytest.mark.parametrize("size", [64, 100, 700, 4096])
def test_encryption_shows_at_every_size(size: int) -> None:
    assert jumps(TEXT[:size], NOISE[:size])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TEXT, TEXT[::-1]),
        (TEXT, base64.b64encode(NOISE)),
        (NOISE, TEXT),
        (NOISE[:4096], NOISE[4096:]),
        (zlib.compress(NOISE), NOISE),
        (bytes(4096), TEXT),
        (b"short", NOISE),
        (TEXT, NOISE[:40]),
        (b"", b""),
    ],
)
def test_ordinary_changes_do_not(before: bytes, after: bytes) -> None:
    assert not jumps(before, after)


def test_the_scale() -> None:
    assert density(b"") == density(b"x") == density(b"xxxx") == 0
    assert density(bytes(range(256))) == 1
    assert 0.4 < density(TEXT) < 0.75
    assert density(NOISE) > 0.99
