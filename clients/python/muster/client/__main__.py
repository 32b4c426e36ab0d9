"""`python -m muster.client` is the command `muster`."""

from muster.client.commands import main

main()
