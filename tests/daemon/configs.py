"""What the tests of the configuration share."""

from collections.abc import Callable

from syncd.daemon.config import Config

Load = Callable[..., Config]

PAIR = '[pair.documents]\nsource = "{root}/a"\ndestination = "{root}/b"\n'
