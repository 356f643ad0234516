"""`python -m tickcast` is `tickcast`."""

import sys

from tickcast.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
