"""Whose tree it is: what the marker says against what this pair claims.

A marker names the pair, the state directory that remembers it and the machine. The pairs of one state
directory share a tree as their configuration allows. Another daemon's claim stands for as long as it can be
told to exist; a state that is gone from this machine claims nothing.
"""

import os

import msgspec


class Claim(msgspec.Struct, frozen=True):
    """One pair's claim on the trees that it writes. `state_dir` empty: a pair that only its key names."""

    pair: str
    state_dir: str = ""
    machine: str = ""

    @classmethod
    def of(cls, pair: str, state_dir: str) -> "Claim":
        """The claim of a pair whose state is kept in `state_dir` on this machine."""
        return cls(pair, os.path.realpath(state_dir), machine_id())

    def excludes(self, other: "Claim") -> bool:
        """May a tree that `self` has marked not be taken by `other`?"""
        if self.machine != other.machine or not self.state_dir:
            return self.pair != other.pair
        if self.state_dir == other.state_dir:
            return False
        return os.path.exists(os.path.join(self.state_dir, "pairs", self.pair, "state.db"))


def machine_id() -> str:
    """What tells machines apart; empty where there is nothing."""
    for name in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            with open(name, encoding="ascii") as file:
                return file.read().strip()
        except (OSError, UnicodeDecodeError):
            continue
    return os.uname().nodename
