import ast
from pathlib import Path

import pytest

from alphapulse_local.manifest_check import cross_problems, object_problems
from alphapulse_local.manifests import load
from alphapulse_local.scaffold import CannotCreate, write_function


@pytest.fixture
def root(tmp_path: Path) -> Path:
    base = tmp_path / "knative/base"
    (base / "gateway").mkdir(parents=True)
    (base / "gateway/routes.yaml").write_text("")
    (base / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        "resources:\n  - config.yaml\n  - functions/accounts.yaml\n  - functions/trade.yaml\n"
    )
    return tmp_path


@pytest.mark.parametrize("event", [None, "trade.filled"])
def test_created_function_is_complete_and_consistent(root: Path, event: str | None) -> None:
    write_function(root, "trade_diary", event=event)

    folder = root / "functions/trade_diary"
    for path in folder.glob("*.py"):
        ast.parse(path.read_text())
    assert {"__init__.py", "main.py", "app.py", "service.py", "pyproject.toml", "func.yaml", "README.md"} <= {
        path.name for path in folder.iterdir()
    }
    ast.parse((root / "tests/function/trade_diary/test_trade_diary.py").read_text())
    assert [*cross_problems(root), *object_problems(root)] == []
    assert load(root).functions["trade-diary"].folder == "trade_diary"
    assert "$" not in "".join(path.read_text() for path in root.rglob("*") if path.is_file())


def test_http_function_gets_a_route(root: Path) -> None:
    write_function(root, "trade_diary", event=None)

    route = load(root).route("/trade-diary/1")

    assert route is not None
    assert route.function == "trade-diary"


def test_event_function_gets_a_trigger(root: Path) -> None:
    write_function(root, "trade_diary", event="trade.filled")

    assert "type: com.alphapulse.trade.filled.v1" in (root / "eventing/triggers/trade-diary.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "place"), [("market_data", 5), ("zebra", 6), ("aaa", 4)], ids=["middle", "last", "first"]
)
def test_manifest_is_listed_in_order(root: Path, name: str, place: int) -> None:
    write_function(root, name, event=None)

    lines = (root / "knative/base/kustomization.yaml").read_text().splitlines()

    assert lines[place] == f"  - functions/{name.replace('_', '-')}.yaml"


@pytest.mark.parametrize("name", ["", "Trade", "trade-diary", "1st", "a__b", "../x", "a_"])
def test_malformed_name_is_refused_and_nothing_written(root: Path, name: str) -> None:
    with pytest.raises(CannotCreate, match="lower case with underscores"):
        write_function(root, name, event=None)

    assert not (root / "functions").exists()


def test_taken_name_is_refused(root: Path) -> None:
    write_function(root, "trade_diary", event=None)

    with pytest.raises(CannotCreate, match="exists already"):
        write_function(root, "trade_diary", event=None)


def test_unknown_event_is_refused_with_the_known_ones(root: Path) -> None:
    with pytest.raises(CannotCreate, match=r"there is no event 'trade\.dreamt'; there are: .*trade\.filled"):
        write_function(root, "trade_diary", event="trade.dreamt")
