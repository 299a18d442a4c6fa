"""As much of a Kubernetes API server as Helm asks for before it changes anything: versions, kinds, and objects by name."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Kind, plural, and whether it lives in a namespace, by group and version.
KINDS = {
    "v1": [("Secret", "secrets", True), ("ConfigMap", "configmaps", True), ("Service", "services", True),
           ("ServiceAccount", "serviceaccounts", True), ("Pod", "pods", True), ("Namespace", "namespaces", False)],
    "apps/v1": [("Deployment", "deployments", True), ("StatefulSet", "statefulsets", True)],
    "batch/v1": [("Job", "jobs", True)],
    "policy/v1": [("PodDisruptionBudget", "poddisruptionbudgets", True)],
    "networking.k8s.io/v1": [("NetworkPolicy", "networkpolicies", True), ("Ingress", "ingresses", True)],
    "admissionregistration.k8s.io/v1": [("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", False)],
}


def root_of(version):
    """Where the objects of a group and version are."""
    return f"api/{version}" if version == "v1" else f"apis/{version}"


def document(version, kinds):
    """An OpenAPI document that says no more than that the server itself will look at the fields of what it is given."""
    group, _, bare = version.rpartition("/")
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "1"}, "paths": {
        f"/{root_of(version)}/{plural}/{{name}}": {"patch": {
            "x-kubernetes-group-version-kind": {"group": group, "version": bare, "kind": kind},
            "parameters": [{"name": "fieldValidation", "in": "query"}], "responses": {"200": {"description": "OK"}}}}
        for kind, plural, _ in kinds}}


class Cluster:
    """An API server of `version` that holds `objects`, and lets nobody change them."""

    def __init__(self, objects=(), version="1.33"):
        self.objects, self.version, self.refused = list(objects), version, []
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, answer = cluster.answer(self.path.partition("?")[0].strip("/"))
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def refuse(self):
                cluster.refused.append(f"{self.command} {self.path}")
                self.send_error(403)

            do_POST = do_PUT = do_PATCH = do_DELETE = refuse

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()

    @property
    def kubeconfig(self):
        host, port = self.server.server_address
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"http://{host}:{port}"}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        })

    def answer(self, path):
        """The status and the document at `path`."""
        groups = {version.partition("/")[0] for version in KINDS if "/" in version}
        if path == "version":
            major, minor = self.version.split(".")
            return 200, {"major": major, "minor": minor, "gitVersion": f"v{self.version}.0"}
        if path == "api":
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "apis":
            def of(group):
                return {"groupVersion": f"{group}/v1", "version": "v1"}

            return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                {"name": group, "versions": [of(group)], "preferredVersion": of(group)} for group in sorted(groups)]}
        if path == "openapi/v3":
            roots = map(root_of, KINDS)
            return 200, {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}}
        for version, kinds in KINDS.items():
            root = root_of(version)
            if path == f"openapi/v3/{root}":
                return 200, document(version, kinds)
            if path == root:
                return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [
                    {"name": plural, "singularName": kind.lower(), "kind": kind, "namespaced": namespaced,
                     "verbs": ["get", "list", "create", "patch", "update", "delete"]} for kind, plural, namespaced in kinds]}
            if path.startswith(f"{root}/"):
                return self._object(path.removeprefix(f"{root}/").split("/"), {plural: kind for kind, plural, _ in kinds})
        return self._missing()

    def _object(self, parts, kinds):
        namespace = parts[1] if parts[0] == "namespaces" and len(parts) == 4 else None
        plural, name = parts[-2:]
        for one in self.objects:
            if (one["kind"], one["metadata"]["name"]) == (kinds.get(plural), name) and \
                    one["metadata"].get("namespace") == namespace:
                return 200, one
        return self._missing()

    @staticmethod
    def _missing():
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
