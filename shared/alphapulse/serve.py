"""`python -m alphapulse.serve`: the process of one function, named by `FUNCTION`."""

import gc
import sys

# Imports make objects that live as long as the process; collecting garbage among them takes a
# tenth of the start. Switched on again, with those objects set aside, once the function is built.
gc.disable()

# structlog draws tracebacks with rich when that is installed, and importing it takes 45 ms. A
# function logs JSON lines and draws nothing.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type] # how Python marks "not importable"

from alphapulse.runtime.serving import serve  # noqa: E402 - after the line above
from alphapulse.runtime.settings import InvalidSetting, Settings  # noqa: E402 - as above


def main() -> int:
    """Serve until SIGTERM."""
    try:
        settings = Settings.from_environment()
    except InvalidSetting as error:
        sys.stderr.write(f"{error}\n")
        return 2
    serve(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
