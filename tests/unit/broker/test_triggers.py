from pathlib import Path
from typing import Any

import pytest
import yaml

from alphapulse_broker.delivery import Destination
from alphapulse_broker.errors import InvalidManifest
from alphapulse_broker.triggers import Resolver, TriggerTable, load

REPOSITORY = Path(__file__).parents[3]


def manifest(name: str = "one", *, namespace: str = "alphapulse", **spec: Any) -> dict[str, Any]:
    subscriber = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "fn"}}
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"broker": "default", "subscriber": subscriber, **spec},
    }


def broker(**delivery: Any) -> dict[str, Any]:
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Broker",
        "metadata": {"name": "default", "namespace": "alphapulse"},
        "spec": {"delivery": delivery},
    }


@pytest.fixture
def triggers(tmp_path: Path) -> Path:
    directory = tmp_path / "triggers"
    directory.mkdir()
    return directory


def write(file: Path, *documents: Any) -> None:
    file.write_text(yaml.safe_dump_all(documents))


def test_triggers_of_this_broker_and_namespace_are_loaded_and_other_objects_passed_over(
    triggers: Path,
) -> None:
    write(triggers / "a.yaml", manifest("two"), manifest("one"))
    write(triggers / "b.yaml", manifest("other-broker", broker="b"), manifest("elsewhere", namespace="x"))
    write(triggers / "kustomization.yaml", {"kind": "Kustomization", "resources": ["a.yaml"]})

    assert load(triggers).names == ("one", "two")


def test_10_broker_delivery_is_the_default_of_each_trigger(triggers: Path) -> None:
    write(triggers.parent / "broker.yaml", broker(retry=5, backoffDelay="PT1S"))
    write(triggers / "a.yaml", manifest("plain"), manifest("own", delivery={"retry": 1}))

    table = load(triggers)

    assert table.by_name["plain"].spec.delivery.retry == 5
    assert table.by_name["own"].spec.delivery.retry == 1
    assert table.by_name["own"].spec.delivery.backoffDelay == "PT1S"


def test_table_survives_its_json_form_with_the_same_revision(triggers: Path) -> None:
    write(triggers.parent / "broker.yaml", broker(retry=5))
    write(triggers / "a.yaml", manifest(filters=[{"not": {"exact": {"type": "t"}}}]))

    table = load(triggers)
    again = TriggerTable.from_json(table.to_json())

    assert table.revision == again.revision
    assert again.matching({"type": "t"}) == []
    assert again.matching({"type": "u"}) == ["one"]


def test_closed_table_is_another_one_than_an_open_one_and_stays_closed(triggers: Path) -> None:
    write(triggers / "a.yaml", manifest())
    opened = load(triggers)

    closed = TriggerTable(opened.triggers, closed=True)
    again = TriggerTable.from_json(closed.to_json())

    assert not TriggerTable.from_json(opened.to_json()).closed
    assert again.closed
    assert again.names == ("one",)
    assert again.revision == closed.revision != opened.revision


@pytest.mark.parametrize("text", ["{}", "7", '{"triggers": [7]}', "[" * 100_000, "null"])
def test_stored_table_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(InvalidManifest, match="stored trigger table cannot be read"):
        TriggerTable.from_json(text)


def test_revision_changes_with_content_and_not_with_order(triggers: Path) -> None:
    write(triggers / "a.yaml", manifest("one"), manifest("two"))
    before = load(triggers).revision
    write(triggers / "a.yaml", manifest("two"), manifest("one"))
    reordered = load(triggers).revision
    write(triggers / "a.yaml", manifest("two"), manifest("one", filter={"attributes": {"type": "t"}}))

    assert before == reordered
    assert before != load(triggers).revision


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (manifest(filter={"attributes": {"type": 1}}), r"a.yaml: trigger one: spec.filter.attributes.type"),
        (manifest(filtr={}), r"trigger one: spec.filtr: Extra inputs"),
        (manifest("Bad_Name"), r"name: String should match"),
        (manifest(subscriber={}), r"needs ref or uri"),
        (manifest(subscriber={"uri": "http://[x"}), r"trigger one: spec.subscriber: .*Invalid IPv6 URL"),
        (manifest(subscriber={"uri": "http://x:99999"}), r"Port out of range"),
        (manifest(subscriber={"ref": {"kind": "Channel", "name": "c"}}), r"Input should be 'Service'"),
        (manifest(delivery={"backoffDelay": "1s"}), r"ISO 8601"),
        (
            manifest(filters=[{"cesql": "type = 'x'\nAND source LIKE y"}]),
            r"^a.yaml: trigger one: cesql: line 2, column 17: expected a quoted pattern, found 'y'$",
        ),
    ],
)
def test_manifest_that_cannot_be_used_is_refused_with_file_object_and_field(
    triggers: Path, document: dict[str, Any], message: str
) -> None:
    write(triggers / "a.yaml", document)

    with pytest.raises(InvalidManifest, match=message):
        load(triggers)


def test_two_triggers_of_one_name_are_refused(triggers: Path) -> None:
    write(triggers / "a.yaml", manifest())
    write(triggers / "b.yaml", manifest())

    with pytest.raises(InvalidManifest, match="found twice: one"):
        load(triggers)


def test_missing_directory_broken_yaml_and_missing_broker_are_refused(triggers: Path) -> None:
    with pytest.raises(InvalidManifest, match="no directory"):
        load(triggers / "missing")
    write(triggers.parent / "broker.yaml", broker())
    with pytest.raises(InvalidManifest, match="no Broker named other"):
        load(triggers, broker="other")
    (triggers / "a.yaml").write_text("a: [")
    with pytest.raises(InvalidManifest, match=r"a\.yaml"):
        load(triggers)


def test_resolver_fills_the_template_and_resolves_relative_paths() -> None:
    resolver = Resolver("http://{name}.{namespace}.svc.cluster.local", "alphapulse")

    def url(**content: Any) -> str:
        return resolver.url(Destination.model_validate(content))

    assert url(ref={"kind": "Service", "name": "fn"}) == "http://fn.alphapulse.svc.cluster.local"
    assert url(ref={"kind": "Service", "name": "fn", "namespace": "x"}) == "http://fn.x.svc.cluster.local"
    assert (
        url(ref={"kind": "Service", "name": "fn"}, uri="/events")
        == "http://fn.alphapulse.svc.cluster.local/events"
    )
    assert url(ref={"kind": "Service", "name": "fn"}, uri="http://x/y") == "http://x/y"
    assert url(uri="https://sink.example/x") == "https://sink.example/x"


def test_resolver_keeps_the_path_of_a_template() -> None:
    resolver = Resolver("http://127.0.0.1:1/services/{name}", "alphapulse")
    destination = Destination.model_validate({"ref": {"kind": "Service", "name": "fn"}, "uri": "/events"})

    assert resolver.url(destination) == "http://127.0.0.1:1/services/fn/events"


def test_broker_of_this_repository_retries_and_parks() -> None:
    (document,) = yaml.safe_load_all((REPOSITORY / "eventing" / "broker.yaml").read_text())

    assert document["metadata"]["annotations"]["eventing.knative.dev/broker.class"] == "RedisBroker"
    assert document["spec"]["delivery"]["retry"] == 5
    assert "deadLetterSink" not in document["spec"]["delivery"]
