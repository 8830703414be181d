"""The few requests to the Kubernetes API that kopf does not make: list, get, merge patch.

kopf watches and says that something changed; what it is, the controller reads here, completely and
at one time, so that no table is ever built from half of the triggers.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
import kopf

from alphapulse_broker.controller.manifests import Key, Manifest
from alphapulse_broker.controller.references import Reference
from alphapulse_broker.errors import BrokerError

EVENTING = "apis/eventing.knative.dev/v1"
SLICES = "apis/discovery.k8s.io/v1"
POLICIES = "apis/eventing.knative.dev/v1alpha1"

NO_CREDENTIALS = "there is neither a ServiceAccount nor a kubeconfig to log in with"

_TIMEOUT = aiohttp.ClientTimeout(total=15)
_DETAIL = 200


class ApiUnavailable(BrokerError):
    """The API server did not answer, or refused."""


class ObjectGone(BrokerError):
    """The object does not exist (any more)."""


class ObjectChanged(BrokerError):
    """The object was changed by somebody else since it was read."""


Login = Callable[[], kopf.ConnectionInfo | None]


def credentials() -> kopf.ConnectionInfo | None:
    """Return how to reach the API server: as the pod's ServiceAccount, else as kubeconfig says."""
    settings = kopf.OperatorSettings()
    return kopf.login_with_service_account(settings=settings) or kopf.login_with_kubeconfig(settings=settings)


class KubernetesApi:
    """A session with the API server; credentials are read again when they are refused."""

    def __init__(self, login: Login = credentials) -> None:
        self._login = login
        self._server = ""
        self._session: aiohttp.ClientSession | None = None
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def objects(self, path: str, **query: str) -> list[Manifest]:
        """Return every object of a collection.

        Raises
        ------
        ObjectGone
            The API server does not know this kind.
        ApiUnavailable
        """
        found = await self._request("GET", path, params=query)
        return list(found.get("items") or ())

    async def referent(self, reference: Reference) -> Manifest | None:
        """Return the object of a reference, or None."""
        try:
            plural, namespaced = await self._plural(reference.api_version, reference.kind)
            where = f"namespaces/{reference.namespace}/{plural}" if namespaced else plural
            found: Manifest = await self._request(
                "GET", f"{_root(reference.api_version)}/{where}/{reference.name}"
            )
        except ObjectGone:
            return None
        return found

    async def patch(
        self, plural: str, name: Key, change: Mapping[str, Any], *, subresource: str = ""
    ) -> Manifest:
        """Merge `change` into a Broker or Trigger and return what it is now.

        Raises
        ------
        ObjectGone, ObjectChanged, ApiUnavailable
            ObjectChanged only when `change` names a resourceVersion.
        """
        path = f"{EVENTING}/namespaces/{name.namespace}/{plural}/{name.name}{subresource}"
        headers = {"Content-Type": "application/merge-patch+json"}
        changed: Manifest = await self._request("PATCH", path, json=change, headers=headers)
        return changed

    async def _plural(self, api_version: str, kind: str) -> tuple[str, bool]:
        known = self._plurals.get((api_version, kind))
        if known is None:
            for entry in (await self._request("GET", _root(api_version))).get("resources") or ():
                if "/" not in entry["name"]:
                    self._plurals[api_version, entry["kind"]] = (entry["name"], entry["namespaced"])
            known = self._plurals.get((api_version, kind))
        if known is None:
            raise ObjectGone(f"the API server knows no kind {kind} of {api_version}")
        return known

    async def _request(self, method: str, path: str, **options: Any) -> Any:
        try:
            return await self._once(method, path, **options)
        except PermissionError:
            # Tokens of ServiceAccounts are replaced on disk every hour.
            await self._close()
        try:
            return await self._once(method, path, **options)
        except PermissionError as error:
            raise ApiUnavailable(f"the API server refused {method} /{path}: {error}") from error

    async def _once(self, method: str, path: str, **options: Any) -> Any:
        try:
            session = self._open()
            async with session.request(method, f"{self._server}/{path}", **options) as response:
                if response.status == HTTPStatus.OK:
                    return await response.json()
                reason = await _reason(response)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # ValueError: something in between answered, and not in JSON.
            raise ApiUnavailable(f"the API server did not answer: {type(error).__name__}") from error
        if response.status == HTTPStatus.NOT_FOUND:
            raise ObjectGone(reason)
        if response.status == HTTPStatus.CONFLICT:
            raise ObjectChanged(reason)
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise PermissionError(reason)
        raise ApiUnavailable(f"the API server refused {method} /{path}: {response.status} {reason}")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connection = self._login()
            if connection is None:
                raise ApiUnavailable(NO_CREDENTIALS)
            self._server = connection.server.rstrip("/")
            secure = self._server.startswith("https:")
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=connection.as_ssl_context() if secure else True),
                headers=connection.as_http_headers(),
                timeout=_TIMEOUT,
            )
        return self._session

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _root(api_version: str) -> str:
    return f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"


async def _reason(response: aiohttp.ClientResponse) -> str:
    text = await response.text(errors="replace")
    try:
        said = (await response.json()).get("message")
    except (aiohttp.ContentTypeError, ValueError, AttributeError):
        said = None
    return str(said or text)[:_DETAIL]
