from pathlib import Path

import pytest

from alphapulse_local.manifest_check import object_problems, schema_problems
from alphapulse_local.manifests import ManifestError, Manifests, Route, load, seconds


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def service(extra: str = "", *, annotations: str = "{}", env: str = "[]") -> str:
    return f"""
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: order-sync}}
spec:
  template:
    metadata: {{annotations: {annotations}}}
    spec:
      {extra}
      containers:
        - image: order-sync:1
          env: {env}
          securityContext:
            allowPrivilegeEscalation: false
            runAsNonRoot: true
            readOnlyRootFilesystem: true
            capabilities: {{drop: [ALL]}}
"""


SERVICE_FILE = "knative/base/functions/order-sync.yaml"


@pytest.mark.parametrize(
    ("text", "expected"), [("30s", 30), ("1m30s", 90), ("1h", 3600), ("1h2m3s", 3723), ("6s", 6)]
)
def test_duration_is_read_as_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "30", "s", "1d", "30 s", "-1s"])
def test_malformed_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        seconds(text)


def test_function_is_read_from_its_service(tmp_path: Path) -> None:
    write(
        tmp_path,
        SERVICE_FILE,
        service(
            "timeoutSeconds: 12\n      containerConcurrency: 3",
            annotations="{autoscaling.knative.dev/window: 7s}",
            env="[{name: A, value: b}]",
        ),
    )

    function = load(tmp_path).functions["order-sync"]

    assert function.folder == "order_sync"
    assert (function.timeout_seconds, function.container_concurrency) == (12, 3)
    assert function.window_seconds == 7
    assert [(variable.name, variable.value) for variable in function.variables] == [("A", "b")]


def test_malformed_service_is_refused_with_its_file_and_name(tmp_path: Path) -> None:
    write(tmp_path, SERVICE_FILE, "kind: Service\nmetadata: {name: order-sync}\nspec: {}\n")

    with pytest.raises(ManifestError, match=r"order-sync\.yaml: Service order-sync: KeyError\('template'\)"):
        load(tmp_path)


def test_invalid_yaml_is_refused_with_its_file(tmp_path: Path) -> None:
    write(tmp_path, SERVICE_FILE, "kind: [")

    with pytest.raises(ManifestError, match=r"order-sync\.yaml is not valid YAML"):
        load(tmp_path)


def test_route_to_a_missing_function_is_refused(tmp_path: Path) -> None:
    write(
        tmp_path,
        "knative/base/gateway/routes.yaml",
        """
kind: HTTPRoute
metadata: {name: a}
spec:
  rules:
    - matches: [{path: {type: PathPrefix, value: /a}}]
      filters: [{type: URLRewrite, urlRewrite: {hostname: nobody.alphapulse.svc.cluster.local}}]
""",
    )

    with pytest.raises(ManifestError, match="/a leads to nobody"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("/a", "short"),
        ("/a/", "short"),
        ("/a/x", "short"),
        ("/a/b", "long"),
        ("/a/b/c", "long"),
        ("/a/bc", "short"),
        ("/a/b/exact", "exact"),
        ("/a/b/exact/more", "long"),
        ("/ab", None),
        ("/", None),
    ],
)
def test_longest_prefix_wins_at_segment_boundaries(path: str, function: str | None) -> None:
    routes = (
        Route("/a", exact=False, function="short"),
        Route("/a/b", exact=False, function="long"),
        Route("/a/b/exact", exact=True, function="exact"),
    )
    manifests = Manifests(functions={}, routes=routes, schedules=(), config_maps={})

    found = manifests.route(path)

    assert (found.function if found else None) == function


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (service(annotations="{autoscaling.knative.dev/minScale: '0'}"), "unknown annotation"),
        (service(annotations="{autoscaling.knative.dev/window: 5s}"), "window must be between 6s and 1h"),
        (service("timeoutSeconds: 601"), "timeoutSeconds is at most 600"),
        (service("containerConcurrency: 1001"), "containerConcurrency is at most 1000"),
        (service(env="[{name: PORT, value: '1'}]"), "PORT is set by Knative"),
        (service().replace("order-sync:1", "order-sync"), "is not pinned"),
        (service().replace("order-sync:1", "order-sync:latest"), "is not pinned"),
        (service().replace("runAsNonRoot: true", "runAsNonRoot: false"), "runAsNonRoot must be true"),
        (service().replace("[ALL]", "[]"), "capabilities must be dropped"),
    ],
)
def test_what_knative_would_refuse_or_ignore_is_found(tmp_path: Path, manifest: str, problem: str) -> None:
    write(tmp_path, SERVICE_FILE, manifest)

    (found,) = object_problems(tmp_path)

    assert problem in found


@pytest.mark.parametrize(
    ("delivery", "problem"),
    [
        ("{retry: 1, backoffPolicy: linear, backoffDelay: PT1S}", "delivery.timeout is missing"),
        ("{retry: 1, backoffPolicy: linear, backoffDelay: 1s, timeout: PT1S}", "no ISO 8601 duration"),
    ],
)
def test_incomplete_delivery_of_a_trigger_is_found(tmp_path: Path, delivery: str, problem: str) -> None:
    write(
        tmp_path,
        "eventing/triggers/a.yaml",
        "apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {name: a}\n"
        f"spec: {{broker: default, delivery: {delivery}}}\n",
    )

    (found,) = object_problems(tmp_path)

    assert problem in found


def test_field_the_schema_does_not_know_is_found(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "service-serving-v1.json").write_text(
        '{"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", '
        '"properties": {"known": {"type": "integer"}}}}}}'
    )
    write(
        tmp_path,
        SERVICE_FILE,
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\n"
        "spec: {known: 1, knwon: 2}\n",
    )

    found = list(schema_problems(tmp_path, schemas))

    assert found == [f"{SERVICE_FILE}: Service a: unknown field spec.knwon"]
