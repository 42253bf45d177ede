"""`python -m popsparse_py.cli`: the same as the command `popsparse`."""

from . import main

main()
