"""A small API server: the kinds the controller reads, over HTTP, with what Kubernetes promises of them.

Lists and watches share one resourceVersion; a patch of the wrong version is a conflict; `status` is
written through its own path alone; a changed spec counts up the generation; an object with finalizers
stays until the last one is taken off; nothing is allowed that the controller's role does not grant.
"""

import asyncio
import copy
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

ACCESS = Path(__file__).resolve().parents[3] / "eventing/broker/manifests/controller/access.yaml"

Object = dict[str, Any]
Permission = tuple[str, str, str]  # group, resource, verb

# What Knative collects in the role addressable-resolver.
RESOLVER_RULES: set[Permission] = {
    ("sinks.example.com", "mailboxes", "get"),
    ("eventing.knative.dev", "brokers", "get"),
}
TOKEN = "cluster-token"
KINDS = {
    ("eventing.knative.dev/v1", "brokers"): "Broker",
    ("eventing.knative.dev/v1", "triggers"): "Trigger",
    ("eventing.knative.dev/v1alpha1", "eventpolicies"): "EventPolicy",
    ("serving.knative.dev/v1", "services"): "Service",
    ("discovery.k8s.io/v1", "endpointslices"): "EndpointSlice",
    ("sinks.example.com/v1", "mailboxes"): "Mailbox",
    ("v1", "services"): "Service",
}
# Every cluster has these; kopf waits until it has seen that, and asks for none of them.
CLUSTER_KINDS = {
    ("v1", "namespaces"): "Namespace",
    ("v1", "events"): "Event",
    ("apiextensions.k8s.io/v1", "customresourcedefinitions"): "CustomResourceDefinition",
}
_HISTORY = 500


@dataclass
class Cluster:
    """The API server and what is stored in it."""

    port: int = 0
    patches: list[tuple[str, Object]] = field(default_factory=list)
    used: set[Permission] = field(default_factory=set)
    _objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = field(default_factory=dict)
    _events: list[tuple[int, tuple[str, str], Object]] = field(default_factory=list)
    _version: int = 100
    _oldest: int = 100
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        granted = role_rules() | RESOLVER_RULES
        app = web.Application(middlewares=[_authenticated, _authorised(granted, self.used)])
        app.router.add_get("/api", self._versions)
        app.router.add_get("/apis", self._groups)
        for root in ("/api/{version}", "/apis/{group}/{version}"):
            app.router.add_get(root, self._resources)
            app.router.add_get(root + "/{plural}", self._list)
            inner = root + "/namespaces/{namespace}/{plural}"
            app.router.add_get(inner, self._list)
            app.router.add_get(inner + "/{name}", self._get)
            app.router.add_patch(inner + "/{name}", self._patch)
            app.router.add_patch(inner + "/{name}/{subresource}", self._patch)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def kubeconfig(self, path: Path) -> Path:
        server = {"server": f"http://127.0.0.1:{self.port}"}
        content = {
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
        }
        path.write_text(yaml.safe_dump(content))
        return path

    # What a person does with kubectl

    async def apply(self, *manifests: Object) -> None:
        """Create objects, or change the spec, labels and annotations of existing ones."""
        for manifest in manifests:
            place = _place(manifest)
            kind, name = place
            found = self._objects.setdefault(kind, {}).get(name)
            fresh = copy.deepcopy(manifest)
            if found is None:
                fresh["metadata"] |= {"generation": 1, "uid": "-".join(name), "resourceVersion": ""}
                await self._store(place, fresh, "ADDED")
                continue
            before = found.get("spec")
            changed = {**found, **{part: fresh[part] for part in fresh if part != "metadata"}}
            kept = ("generation", "uid", "finalizers", "deletionTimestamp")
            old = {part: found["metadata"][part] for part in kept if part in found["metadata"]}
            changed["metadata"] = {**fresh["metadata"], **old}
            changed["metadata"]["generation"] += changed.get("spec") != before
            await self._store(place, changed, "MODIFIED")

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        place = (_kind(kind), (namespace, name))
        found = self._objects[place[0]][place[1]]
        if found["metadata"].get("finalizers"):
            moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            metadata = {**found["metadata"], "deletionTimestamp": moment}
            await self._store(place, {**found, "metadata": metadata}, "MODIFIED")
        else:
            await self._drop(place)

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        found = self._objects.get(_kind(kind), {}).get((namespace, name))
        return copy.deepcopy(found)

    def conditions(self, kind: str, namespace: str, name: str) -> dict[str, Object]:
        found = self.get(kind, namespace, name) or {}
        return {entry["type"]: entry for entry in found.get("status", {}).get("conditions", [])}

    def is_ready(self, kind: str, namespace: str, name: str) -> bool:
        """Whether the object is Ready as it is now, not as it was before its last change."""
        found = self.get(kind, namespace, name)
        if found is None or "status" not in found:
            return False
        current = found["status"].get("observedGeneration") == found["metadata"]["generation"]
        return bool(current) and self.conditions(kind, namespace, name)["Ready"]["status"] == "True"

    async def forget_history(self) -> None:
        """Make every watch that is opened from now on too old (410)."""
        async with self._news:
            self._version += 1
            self._oldest = self._version
            self._events.clear()
            self._news.notify_all()

    # HTTP

    async def _versions(self, _: web.Request) -> web.Response:
        return web.json_response({"versions": ["v1"]})

    async def _groups(self, _: web.Request) -> web.Response:
        groups: dict[str, list[str]] = {}
        for api_version, _plural in {**KINDS, **CLUSTER_KINDS}:
            if "/" in api_version:
                group, version = api_version.split("/")
                groups.setdefault(group, []).append(version)
        rendered = [
            {
                "name": group,
                "versions": [
                    {"version": it, "groupVersion": f"{group}/{it}"} for it in sorted(set(versions))
                ],
                "preferredVersion": {"version": versions[0], "groupVersion": f"{group}/{versions[0]}"},
            }
            for group, versions in groups.items()
        ]
        return web.json_response({"groups": rendered})

    async def _resources(self, request: web.Request) -> web.Response:
        wanted = _api_version(request)
        found = [
            {
                "name": plural,
                "singularName": kind.lower(),
                "kind": kind,
                "namespaced": (api_version, plural) in {*KINDS, ("v1", "events")},
                "verbs": ["get", "list", "watch", "patch"],
            }
            for (api_version, plural), kind in {**KINDS, **CLUSTER_KINDS}.items()
            if api_version == wanted
        ]
        return web.json_response({"resources": found}) if found else _failure(404, "no such group")

    async def _list(self, request: web.Request) -> web.StreamResponse:
        kind = _requested_kind(request)
        if kind is None:
            return _failure(404, "no such kind")
        if "watch" in request.query:
            return await self._watch(request, kind)
        namespace = request.match_info.get("namespace")
        label, _, value = request.query.get("labelSelector", "").partition("=")
        items = [
            found
            for (where, _name), found in self._objects.get(kind, {}).items()
            if namespace in (None, where)
            and (not label or found["metadata"].get("labels", {}).get(label) == value)
        ]
        # As the API server does, items of a list do not repeat their kind.
        bare = [{part: it[part] for part in it if part not in ("kind", "apiVersion")} for it in items]
        return web.json_response(
            {
                "kind": f"{KINDS[kind]}List",
                "apiVersion": kind[0],
                "metadata": {"resourceVersion": str(self._version)},
                "items": bare,
            }
        )

    async def _watch(self, request: web.Request, kind: tuple[str, str]) -> web.StreamResponse:
        since = int(request.query.get("resourceVersion", self._version))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            async with self._news:
                while self._version <= since:
                    await self._news.wait()
                gone = since < self._oldest
                news = [event for at, of, event in self._events if at > since and of == kind]
                since = self._version
            if gone:
                news = [{"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}]
            try:
                for event in news:
                    await response.write(json.dumps(event).encode() + b"\n")
            except ConnectionResetError:
                return response
            if gone:
                return response

    async def _get(self, request: web.Request) -> web.Response:
        kind = _requested_kind(request)
        name = (request.match_info["namespace"], request.match_info["name"])
        found = self._objects.get(kind, {}).get(name) if kind else None
        return web.json_response(found) if found else _failure(404, f"{name[1]} not found")

    async def _patch(self, request: web.Request) -> web.Response:
        kind = _requested_kind(request)
        name = (request.match_info["namespace"], request.match_info["name"])
        found = self._objects.get(kind, {}).get(name) if kind else None
        if kind is None or found is None:
            return _failure(404, f"{name[1]} not found")
        if request.content_type != "application/merge-patch+json":
            return _failure(415, "merge patches only")
        change = await request.json()
        self.patches.append((request.path, change))
        version = change.get("metadata", {}).pop("resourceVersion", None)
        if version not in (None, found["metadata"]["resourceVersion"]):
            return _failure(409, "the object has been modified")
        status = request.match_info.get("subresource") == "status"
        parts = {part: change[part] for part in change if (part == "status") == status}
        changed = _merged(found, parts)
        if changed == found:
            return web.json_response(found)
        if changed["metadata"].get("deletionTimestamp") and not changed["metadata"].get("finalizers"):
            await self._drop((kind, name))
            return web.json_response(changed)
        return web.json_response(await self._store((kind, name), changed, "MODIFIED"))

    async def _store(self, place: tuple[tuple[str, str], tuple[str, str]], new: Object, event: str) -> Object:
        kind, name = place
        async with self._news:
            self._version += 1
            new["metadata"]["resourceVersion"] = str(self._version)
            self._objects.setdefault(kind, {})[name] = new
            self._record(kind, new, event)
        return new

    async def _drop(self, place: tuple[tuple[str, str], tuple[str, str]]) -> None:
        async with self._news:
            self._version += 1
            self._record(place[0], self._objects[place[0]].pop(place[1]), "DELETED")

    def _record(self, kind: tuple[str, str], found: Object, event: str) -> None:
        self._events.append((self._version, kind, {"type": event, "object": copy.deepcopy(found)}))
        del self._events[:-_HISTORY]
        self._news.notify_all()


@web.middleware
async def _authenticated(request: web.Request, handler: Any) -> web.StreamResponse:
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return _failure(401, "Unauthorized")
    answer: web.StreamResponse = await handler(request)
    return answer


def role_rules() -> set[Permission]:
    """Return what the manifests allow the controller by a role of their own."""
    granted: set[Permission] = set()
    for found in yaml.safe_load_all(ACCESS.read_text()):
        for rule in found.get("rules", ()):
            granted |= {
                (group, resource, verb)
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            }
    return granted


def _authorised(granted: set[Permission], used: set[Permission]) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        place = request.match_info
        if "plural" in place:
            many = "watch" if "watch" in request.query else "list"
            verb = "patch" if request.method == "PATCH" else "get" if "name" in place else many
            resource = "/".join(filter(None, (place["plural"], place.get("subresource"))))
            wanted = (place.get("group", ""), resource, verb)
            if wanted not in granted:
                return _failure(403, f"cannot {verb} {resource}")
            used.add(wanted)
        answer: web.StreamResponse = await handler(request)
        return answer

    return middleware


def _failure(status: int, message: str) -> web.Response:
    content = {"kind": "Status", "status": "Failure", "code": status, "message": message}
    return web.json_response(content, status=status)


def _api_version(request: web.Request) -> str:
    group, version = request.match_info.get("group"), request.match_info["version"]
    return f"{group}/{version}" if group else version


def _requested_kind(request: web.Request) -> tuple[str, str] | None:
    kind = (_api_version(request), request.match_info["plural"])
    return kind if kind in KINDS else None


def _kind(name: str) -> tuple[str, str]:
    return next(kind for kind, known in KINDS.items() if known == name)


def _place(manifest: Object) -> tuple[tuple[str, str], tuple[str, str]]:
    wanted = (manifest["apiVersion"], manifest["kind"])
    kind = next(kind for kind, name in KINDS.items() if (kind[0], name) == wanted)
    return kind, (manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def _merged(target: Any, change: Any) -> Any:
    """RFC 7396."""
    if not isinstance(change, dict):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
