"""`python -m tolaria`."""

from tolaria.cli import main

main()
