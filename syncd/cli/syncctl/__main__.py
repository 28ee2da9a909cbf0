"""`python -m syncd.cli.syncctl`."""

from syncd.cli.syncctl import main

main()
