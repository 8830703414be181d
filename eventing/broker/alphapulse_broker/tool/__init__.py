"""The operator's command line: arguments in, text or JSON out. What it does is in `operations`."""
