"""The number of isolation cases in docs/security.md is the number that the suites generate."""

import re
from pathlib import Path

from tests.e2e.isolation import test_who_may_do_what as callers
from tests.e2e.isolation.conftest import PUBLIC, routes
from tests.integration.data import test_isolation as database
from tests.openapi import public_document
from tests.processes import ROOT

# Anonymous, five kinds of credentials that do not hold, viewer, restricted key, suspended, cancelled,
# deleted, owner; and three states before active, of which reads are asked.
CALLERS_OF_ALL = 12
STATES_OF_READS = 3


def counts(folder: Path, signing_key: bytes) -> dict[str, int]:
    document = public_document(folder, signing_key)
    closed = [
        (method, path)
        for method, path, _ in routes(document)
        if path not in PUBLIC and f"{method} {path}" not in callers.ENDS_THE_LOGIN
    ]
    reads = [method for method, _ in closed if method == "GET"]
    ways = len(database.OPERATIONS) + len(database.FORGERIES) + len(["copy out"])
    with_id = [path for _, path in closed if re.search(r"\{", path) and not path.startswith("/market/")]
    return {
        "tables": len(database.TABLES) * len(database.SETTINGS) * ways,
        "partitions": len(database.PARTITIONS) * 6 * 3,
        "routes x callers": len(closed) * CALLERS_OF_ALL + len(reads) * STATES_OF_READS,
        "routes x another tenant's ids": len(with_id),
    }


def test_the_document_gives_the_number_of_cases(tmp_path: Path, signing_key: bytes) -> None:
    text = (ROOT / "docs/security.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([\d,]+) \|", text, re.MULTILINE))

    said = {name: int(rows.get(name, "0").replace(",", "")) for name in counts(tmp_path, signing_key)}
    assert said == counts(tmp_path, signing_key)
