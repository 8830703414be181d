"""`python -m alphapulse.backtesting`: a backtest from the command line."""

import sys

from alphapulse.backtesting.cli import main

if __name__ == "__main__":
    sys.exit(main())
