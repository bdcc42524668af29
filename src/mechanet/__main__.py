"""``python -m mechanet``: the command line."""

import sys

from mechanet.cli import main

if __name__ == "__main__":
    sys.exit(main())
