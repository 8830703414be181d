"""`python -m alphapulse_local`."""

import sys

from alphapulse_local.cli import main

if __name__ == "__main__":
    sys.exit(main())
