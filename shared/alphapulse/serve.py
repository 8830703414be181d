"""`python -m alphapulse.serve`: the process of one function, named by `FUNCTION`."""

import sys

from pydantic import ValidationError

from alphapulse.runtime.serving import serve
from alphapulse.runtime.settings import Settings


def main() -> int:
    """Serve until SIGTERM."""
    try:
        settings = Settings.from_environment()
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            sys.stderr.write(f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}\n")
        return 2
    serve(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
