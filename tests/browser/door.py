"""The stand-in's HTTP: the page with its real headers, the table of routes, server-sent events."""

import http.server
import json
import pathlib
import sys
import urllib.parse

PAGE = pathlib.Path(__file__).resolve().parents[2] / "control-plane/dashboard"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
CSRF = "proof-1f2e"


class Refusal(Exception):
    def __init__(self, status, code, message, fields=(), details=None, headers=()):
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, "fields": list(fields), "details": details or {}}}
        self.headers = dict(headers)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # A browser opens several connections at once; those that do not fit are tried again only after a second or more.
    request_queue_size = 128

    def handle_error(self, request, address):
        # A browser that hangs up is no news; anything else is.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve("GET")

    def do_POST(self):
        self.serve("POST")

    def do_PUT(self):
        self.serve("PUT")

    def do_PATCH(self):
        self.serve("PATCH")

    def do_DELETE(self):
        self.serve("DELETE")

    def serve(self, method):
        desk = self.server.stand_in
        if desk.gone:
            self.close_connection = True
            self.connection.close()
            return
        url = urllib.parse.urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        try:
            if not url.path.startswith("/api/v1/"):
                return self.file(url.path)
            path = [urllib.parse.unquote(part) for part in url.path.removeprefix("/api/v1/").split("/")]
            if path == ["session"]:
                return self.session(method, body)
            if not desk.signed_in:
                raise Refusal(401, "UNAUTHENTICATED", "nobody is signed in")
            if path == ["fleet", "events"]:
                return self.events()
            desk.seen.append((method, "/".join(path), body))
            if method != "GET":
                self.check_change(method)
            self.answer(200, self.route(method, path, body or {}, dict(urllib.parse.parse_qsl(url.query))))
        except Refusal as refusal:
            self.answer(refusal.status, refusal.body, refusal.headers)

    def check_change(self, method):
        desk = self.server.stand_in
        if desk.next_refusal:
            refusal, desk.next_refusal = desk.next_refusal, None
            raise refusal
        if self.headers.get("x-fusebox-csrf") != CSRF:
            raise Refusal(403, "PERMISSION_DENIED", "x-fusebox-csrf is not this session's")
        if method != "DELETE" and self.headers.get("content-type") != "application/json":
            raise Refusal(415, "INVALID_ARGUMENT", "content-type must be application/json")
        if desk.role != "operator":
            raise Refusal(403, "PERMISSION_DENIED", "only an operator may change anything")

    def route(self, method, path, body, query):
        desk = self.server.stand_in
        match (method, *path):
            case ("GET", "fleet"):
                return desk.fleet
            case ("GET", "sidecars", id):
                return desk.sidecar(id)
            case ("GET", "alerts"):
                return {"alerts": desk.fleet["firingAlerts"] + desk.resolved}
            case ("GET", "silences"):
                return {"silences": desk.silences}
            case ("GET", "audit"):
                start, size = int(query.get("pageToken", 0)), int(query.get("pageSize", 50))
                more = start + size < len(desk.audit)
                return {"events": desk.audit[start : start + size]} | (
                    {"nextPageToken": str(start + size)} if more else {}
                )
            case ("PATCH", "providers", name):
                return desk.set_provider(name, body)
            case ("PUT", "providers", name, "breaker"):
                return desk.set_breaker(name, body)
            case ("PUT", "degradation"):
                return desk.set_degradation("", body)
            case ("POST", "alerts", id, "acknowledge"):
                return desk.acknowledge(id, body)
            case ("POST", "silences"):
                return desk.silence("", body)
            case ("DELETE", "silences", id):
                return desk.end_silence(id, body)
        raise Refusal(404, "NOT_FOUND", f"there is no {method} {'/'.join(path)}")

    def session(self, method, body):
        desk = self.server.stand_in
        who = {"name": "ana", "role": desk.role, "csrf": CSRF, "auth": "token" if desk.token else "off"}
        if method == "POST":
            if desk.refuse_sign_in:
                raise desk.refuse_sign_in
            if body.get("token") != desk.token:
                raise Refusal(401, "UNAUTHENTICATED", "no such token")
            desk.signed_in = True
        elif method == "DELETE":
            desk.signed_in = False
        elif not desk.signed_in:
            raise Refusal(401, "UNAUTHENTICATED", "nobody is signed in")
        return self.answer(200, who)

    def answer(self, status, body, headers=None):
        if self.server.stand_in.gone:
            self.close_connection = True
            return
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def file(self, path):
        name = "index.html" if path == "/" else path.removeprefix("/")
        file = PAGE / name
        if "/" in name or not file.is_file():
            raise Refusal(404, "NOT_FOUND", f"there is no {path}")
        data = file.read_bytes()
        self.send_response(200)
        self.send_header("content-type", KINDS[file.suffix])
        self.send_header("content-length", str(len(data)))
        self.send_header("content-security-policy", POLICY)
        self.send_header("x-content-type-options", "nosniff")
        self.send_header("referrer-policy", "no-referrer")
        self.send_header("cache-control", "no-cache")
        self.end_headers()
        self.wfile.write(data)

    def events(self):
        desk = self.server.stand_in
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-store")
        self.send_header("connection", "close")
        self.end_headers()
        desk.streams.add(self.connection)
        try:
            told = None
            while not desk.gone and desk.signed_in:
                with desk.turn:
                    while desk.mute:
                        desk.turn.wait(0.05)
                    desk.turn.wait_for(lambda: desk.version != told, timeout=5)
                    same, told = desk.version == told, desk.version
                self.wfile.write(b": keep-alive\n\n" if same else f"event: fleet\ndata: {desk.told()}\n\n".encode())
                self.wfile.flush()
        finally:
            with desk.turn:
                desk.streams.discard(self.connection)
                desk.turn.notify_all()
