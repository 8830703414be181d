"""The manifests of controller and data plane: valid, restricted, least privileged, and fitting together."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # has no stubs
import pytest
import yaml

from alphapulse_broker.controller.manifests import BROKER_CLASS
from alphapulse_broker.delivery import DeliverySpec
from alphapulse_broker.settings import Settings
from tests.unit.broker.controller.objects import SETTINGS

ROOT = Path(__file__).resolve().parents[4]
MANIFESTS = ROOT / "eventing/broker/manifests"
KUBERNETES = "1.34"
# Kinds of others, which kubernetes-validate does not know.
FOREIGN = {"Kustomization", "Component", "ScaledObject"}

Object = dict[str, Any]


def objects() -> Iterator[tuple[Path, Object]]:
    for path in sorted(MANIFESTS.glob("**/*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path, document


def of_kind(kind: str) -> list[Object]:
    return [found for _, found in objects() if found["kind"] == kind]


def named(kind: str, name: str) -> Object:
    (found,) = (it for it in of_kind(kind) if it["metadata"]["name"] == name)
    return found


def containers() -> Iterator[tuple[str, Object, Object]]:
    for deployment in of_kind("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        for container in pod["containers"]:
            yield deployment["metadata"]["name"], pod, container


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(it, id=f"{it['kind']}-{it['metadata']['name']}")
        for _, it in objects()
        if it["kind"] not in FOREIGN
    ],
)
def test_13_object_is_valid_for_its_kind_without_unknown_fields(manifest: Object) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_13_every_file_belongs_to_a_kustomization_or_says_why_not() -> None:
    listed = set()
    for path, found in objects():
        if found["kind"] in ("Kustomization", "Component"):
            listed |= {(path.parent / entry).resolve() for entry in found["resources"]}

    unlisted = {
        path.relative_to(MANIFESTS).as_posix()
        for path, found in objects()
        if path.name != "kustomization.yaml" and path.resolve() not in listed
    }
    assert unlisted == {"config-br-defaults.yaml"}


def test_13_pods_run_restricted_and_as_accounts_of_their_own() -> None:
    names = {name for name, _, _ in containers()}
    for name, pod, container in containers():
        assert pod["serviceAccountName"] == name
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "volumes"} & set(pod)
        assert re.fullmatch(r".+:\d+\.\d+\.\d+", container["image"])
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
    assert names == {"redisbroker-controller", "default-broker-ingress", "default-broker-dispatcher"}


def test_13_only_the_controller_may_talk_to_the_api_server() -> None:
    tokens = {name: pod["automountServiceAccountToken"] for name, pod, _ in containers()}
    subjects = {it["name"] for binding in of_kind("ClusterRoleBinding") for it in binding["subjects"]}

    assert tokens == {
        "redisbroker-controller": True,
        "default-broker-ingress": False,
        "default-broker-dispatcher": False,
    }
    assert subjects == {"redisbroker-controller"}
    assert not of_kind("RoleBinding")


def test_13_controller_creates_and_deletes_nothing_and_sees_no_secret() -> None:
    (role,) = of_kind("ClusterRole")
    verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
    resources = {resource for rule in role["rules"] for resource in rule["resources"]}
    writable = {it for rule in role["rules"] if "patch" in rule["verbs"] for it in rule["resources"]}

    assert verbs == {"get", "list", "watch", "patch"}
    assert not resources & {"secrets", "configmaps", "*", "subscriptions", "channels", "pods"}
    assert writable == {"brokers", "triggers", "brokers/status", "triggers/status"}


def test_13_settings_in_the_manifests_exist_and_the_log_is_a_secret() -> None:
    known = {f"BROKER_{name.upper()}" for name in Settings.model_fields}
    (config,) = (it for it in of_kind("ConfigMap") if it["metadata"]["name"] == "default-broker")

    assert set(config["data"]) <= known
    assert "BROKER_TRIGGERS" not in config["data"]
    for name, _, container in containers():
        variables = {it["name"]: it for it in container["env"]}
        assert set(variables) <= known, name
        assert variables["BROKER_REDIS_URL"]["valueFrom"]["secretKeyRef"] == {
            "name": "redis-broker",
            "key": "url",
        }


def test_13_names_and_ports_are_those_the_controller_and_the_processes_use() -> None:
    ingress = named("Service", SETTINGS.ingress_service.format(name="default"))
    dispatcher = named("Service", SETTINGS.dispatcher_service.format(name="default"))
    ports = {name: container["ports"][0]["containerPort"] for name, _, container in containers()}

    assert ingress["spec"]["ports"][0]["port"] == 80
    assert ports == {
        "redisbroker-controller": SETTINGS.controller_port,
        "default-broker-ingress": SETTINGS.port,
        "default-broker-dispatcher": SETTINGS.dispatcher_port,
    }
    for service in (ingress, dispatcher):
        target = named("Deployment", service["metadata"]["name"])
        assert service["spec"]["selector"] == target["spec"]["selector"]["matchLabels"]
        (container,) = target["spec"]["template"]["spec"]["containers"]
        assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]


def test_15_pods_get_longer_to_end_than_the_processes_take() -> None:
    config = named("ConfigMap", "default-broker")["data"]
    for name, pod, container in containers():
        wait = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] > int(config["BROKER_SHUTDOWN_SECONDS"]) + wait, name


def test_15_one_controller_and_never_less_than_one_of_the_others() -> None:
    controller = named("Deployment", "redisbroker-controller")["spec"]
    budgets = {it["metadata"]["name"]: it["spec"] for it in of_kind("PodDisruptionBudget")}
    (scaler,), (scaled,) = of_kind("HorizontalPodAutoscaler"), of_kind("ScaledObject")

    assert (controller["replicas"], controller["strategy"]) == (1, {"type": "Recreate"})
    assert set(budgets) == {"default-broker-ingress", "default-broker-dispatcher"}
    for name, budget in budgets.items():
        assert budget["minAvailable"] == 1
        assert budget["selector"] == named("Deployment", name)["spec"]["selector"]
    assert scaler["spec"]["minReplicas"] == scaled["spec"]["minReplicaCount"] == 2
    assert "replicas" not in named("Deployment", scaler["spec"]["scaleTargetRef"]["name"])["spec"]


def test_16_dispatchers_scale_by_a_metric_that_exists() -> None:
    (scaled,) = of_kind("ScaledObject")
    (rule,) = scaled["spec"]["triggers"]

    assert rule["type"] == "prometheus"
    assert 'redisbroker_entries{state="lag"' in rule["metadata"]["query"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == "default-broker-dispatcher"


def test_13_class_has_an_entry_in_the_broker_defaults_with_its_own_configuration() -> None:
    defaults = yaml.safe_load(named("ConfigMap", "config-br-defaults")["data"]["default-br-config"])
    entry = defaults["clusterDefault"]["brokerClasses"][BROKER_CLASS]
    config = named("ConfigMap", entry["name"])

    assert config["metadata"]["namespace"] == entry["namespace"]
    assert entry["name"] != defaults["clusterDefault"]["name"]
    assert DeliverySpec.model_validate(entry["delivery"]).retries == 5
