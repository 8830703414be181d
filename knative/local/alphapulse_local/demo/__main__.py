"""`make demo`: exit status 0 only if everything happened."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from alphapulse_local.demo.pages import Pages
from alphapulse_local.demo.story import tell
from alphapulse_local.demo.trader import DemoFailed
from alphapulse_local.options import REPOSITORY
from alphapulse_local.state import StateDirectory
from alphapulse_local.testing import PlatformDidNotStart, RunningPlatform


def main() -> int:
    """Tell the story on the running platform, or on one of its own."""
    arguments = _parse()
    pages = Pages()
    own = arguments.own or arguments.market_data_dir
    running = None if own else StateDirectory(REPOSITORY / ".local").running()
    url = arguments.url or (running or {}).get("url")
    try:
        if url:
            pages.note(f"on the platform at {url}")
            tell(url, pages)
        else:
            _tell_on_own_platform(arguments.market_data_dir, pages)
    except (DemoFailed, PlatformDidNotStart) as error:
        pages.fail(str(error))
        return 1
    pages.note("")
    pages.note("Everything happened as promised.")
    return 0


def _tell_on_own_platform(market_data_dir: Path | None, pages: Pages) -> None:
    source = os.environ.get("MARKET_DATA_SOURCE") or "simulated"
    data = f"candles from {market_data_dir}" if market_data_dir else f"{source} market data"
    pages.note(f"starting a platform for this demonstration, with {data}")
    with tempfile.TemporaryDirectory(prefix="alphapulse-demo-") as directory:
        platform = RunningPlatform(Path(directory), market_data_dir=market_data_dir)
        try:
            platform.start(timeout_seconds=180)
            pages.note(f"it answers on {platform.url}")
            tell(platform.url, pages)
        finally:
            platform.stop()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="The main job, over HTTP only.")
    parser.add_argument("--url", help="of a platform that runs (default: the one `make up` started)")
    parser.add_argument("--own", action="store_true", help="start a platform for it in any case")
    parser.add_argument(
        "--market-data-dir",
        type=Path,
        default=os.environ.get("MARKET_DATA_DIR") or None,
        help="candle files for a platform of the demonstration's own",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
