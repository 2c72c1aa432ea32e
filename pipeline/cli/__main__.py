"""`python -m halidrift.pipeline.cli`."""

from . import main

main()
