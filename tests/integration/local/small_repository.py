"""A repository with one function, for tests of the whole platform."""

from pathlib import Path

_FILES = {
    "knative/base/config.yaml": """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: alphapulse-config}
        data: {LOG_LEVEL: INFO, BROKER_URL: "http://cluster", JWKS_URL: "http://cluster"}
    """,
    "knative/base/kustomization.yaml": """
        apiVersion: kustomize.config.k8s.io/v1beta1
        kind: Kustomization
        resources:
          - config.yaml
          - gateway/routes.yaml
          - functions/echo.yaml
    """,
    "knative/base/functions/echo.yaml": """
        apiVersion: serving.knative.dev/v1
        kind: Service
        metadata: {name: echo}
        spec:
          template:
            spec:
              containers:
                - image: echo:1
                  envFrom: [{configMapRef: {name: alphapulse-config}}]
                  env:
                    - {name: FUNCTION, value: echo}
                    - name: DATABASE_URL
                      valueFrom: {secretKeyRef: {name: database-app, key: url}}
                    - name: REDIS_URL
                      valueFrom: {secretKeyRef: {name: redis-cache, key: url}}
                    - {name: TOKEN_SIGNING_KEY_FILE, value: /secrets/key/key.pem}
                  volumeMounts: [{name: key, mountPath: /secrets/key}]
              volumes: [{name: key, secret: {secretName: token-signing-key}}]
    """,
    "knative/base/gateway/routes.yaml": """
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: echo}
        spec:
          rules:
            - matches: [{path: {type: PathPrefix, value: /echo}}]
              filters: [{type: URLRewrite, urlRewrite: {hostname: echo.alphapulse.svc.cluster.local}}]
    """,
    "eventing/triggers/echo.yaml": """
        apiVersion: eventing.knative.dev/v1
        kind: Trigger
        metadata: {name: echo, namespace: alphapulse}
        spec:
          broker: default
          filters: [{exact: {type: dev.knative.sources.ping}}]
          subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: echo}}
    """,
    "eventing/sources/tick.yaml": """
        apiVersion: sources.knative.dev/v1
        kind: PingSource
        metadata: {name: tick, namespace: alphapulse}
        spec:
          schedule: "* * * * *"
          contentType: application/json
          data: '{"tick": true}'
          ceOverrides: {extensions: {schedule: tick}}
          sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: default}}
    """,
    "functions/__init__.py": "",
    "functions/echo/__init__.py": "",
    "functions/echo/app.py": '''
        """Remembers the last event and answers what it sees."""

        import os

        from starlette.applications import Starlette
        from starlette.responses import JSONResponse, Response
        from starlette.routing import Route

        EVENTS = []


        async def event(request):
            EVENTS.append({k: v for k, v in request.headers.items() if k.startswith("ce-")})
            return Response(status_code=204)


        async def answer(request):
            return JSONResponse({"events": EVENTS, "environment": dict(os.environ), "pid": os.getpid()})


        def build(resources):
            return Starlette(routes=[Route("/", event, methods=["POST"]), Route("/echo", answer)])
    ''',
}


def write_repository(root: Path) -> Path:
    """Write the files below `root` and return it."""
    for name, text in _FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix("        ") for line in text.splitlines()) + "\n")
    return root
