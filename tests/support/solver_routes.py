"""Routes of the stand-in of `solver_api`: HTTP in, its service's answers out."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import zlib
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

UNKNOWN = {
    "error_code": 404,
    "error_msg": "Problem does not exist or apitoken does not have access",
}


class Routes(BaseHTTPRequestHandler):
    """One instance for each connection; ``service`` is set by the service itself."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: ClassVar[Any]
    lose = False

    def setup(self) -> None:
        super().setup()
        with self.service.changed:
            self.service.connections.add(self.connection)

    def finish(self) -> None:
        with self.service.changed:
            self.service.connections.discard(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None:
        """Say nothing; the service keeps what came."""

    # -- in and out ----------------------------------------------------------------------------

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        deflated = self.headers.get("Content-Encoding") == "deflate" and data
        return zlib.decompress(data) if deflated else data

    def reply(self, content: object, kind: str = "", status: int = 200, **headers: str) -> None:
        """Send JSON, of one of the API's media types where ``kind`` names it; text as it is."""
        text = content if isinstance(content, str) else json.dumps(content)
        if self.lose:
            self.drop()
            return
        self.service.requests.append((self.command, self.path[:200], status))
        vendor = f"application/vnd.dwave.sapi.{kind}+json; version=3.0.0"
        self.send_response(status)
        self.send_header("Content-Type", vendor if kind else "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text.encode())

    def drop(self) -> None:
        """Reset the connection."""
        self.service.requests.append((self.command, self.path[:200], 0))
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def stricken(self, on: str) -> bool:
        """Act on a fault of this kind of request; return whether that was all."""
        fault = self.service.strike(on)
        self.lose = fault is not None and fault.kind == "lost"
        if fault is None or self.lose:
            return False
        if fault.kind == "reset":
            self.drop()
        elif fault.kind == "html":
            self.reply("<html>Bad gateway</html>")
        else:
            wait = {} if fault.retry_after is None else {"Retry_After": str(fault.retry_after)}
            text = {"error_code": fault.status, "error_msg": f"injected {fault.status}"}
            self.reply(text, status=fault.status, **wait)
        return True

    # -- routes --------------------------------------------------------------------------------

    def route(self) -> None:
        data, parts, service = self.body(), urlsplit(self.path), self.service
        query = {key: value[0] for key, value in parse_qs(parts.query).items()}
        path = [part for part in parts.path.removeprefix("/sapi/v2").split("/") if part]
        self.lose = False
        if path[0] == "stand-in":  # for those who steer it from another process
            found = getattr(service, path[1])
            self.reply(found(**json.loads(data or b"{}")) if callable(found) else found)
            return
        if self.headers.get("X-Auth-Token") != service.token:
            self.reply({"error_code": 401, "error_msg": "Invalid token"}, status=401)
            return
        kinds = {"POST": "submit", "DELETE": "cancel", "GET": "answer" if path[1:] else "status"}
        if self.stricken("solvers" if path[0] == "solvers" else kinds[self.command]):
            return
        if path[0] == "solvers":
            self.solvers(path[2:], query)
        elif self.command == "POST":
            jobs = json.loads(data)
            states = [service.submit(job) for job in (jobs if isinstance(jobs, list) else [jobs])]
            self.reply(states if isinstance(jobs, list) else states[0], "problems")
        elif self.command == "DELETE":
            ids = path[1:] or json.loads(data or b"[]")
            states = [service.cancel(id) for id in ids]
            if path[1:]:
                self.reply(states[0], "problem")
            else:
                self.reply(states, "problems")
        elif path[1:]:
            self.problem(path[1], path[2:], query)
        else:
            self.problems(query)

    do_GET = do_POST = do_DELETE = route

    def solvers(self, name: list[str], query: dict[str, str]) -> None:
        machines = [m for m in self.service.machines.values() if name in ([], [m.name])]
        if name and not machines:
            text = {"error_code": 404, "error_msg": "Solver does not exist"}
            self.reply(text, status=404)
            return
        base, *changes = query.get("filter", "all").split(",")

        def names(signs: str) -> set[str]:
            return {change[1:] for change in changes if change[0] in signs}

        def is_shown(key: str) -> bool:
            return key not in names("-") and (base == "all" or key in names("+ "))

        listed = [
            {key: value for key, value in machine.definition().items() if is_shown(key)}
            for machine in machines
        ]
        text = json.dumps(listed[0] if name else listed)
        tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
        age = 3600 if "qubits" in text else 60
        headers = {"ETag": tag, "Cache_Control": f"private, max-age={age}"}
        if self.headers.get("If-None-Match") == tag:
            self.reply("", status=304, **headers)
        else:
            self.reply(text, "solver-definition" + ("" if name else "-list"), **headers)

    def problems(self, query: dict[str, str]) -> None:
        service = self.service
        with service.changed:
            listed = list(service.problems.values())
        if "id" in query:
            listed = [service.problems.get(id) for id in query["id"].split(",")]
            if None in listed:
                self.reply(UNKNOWN, status=404)
                return
            if "timeout" in query:
                service.hold(listed, float(query["timeout"]))

        def is_meant(state: dict[str, Any]) -> bool:
            label, wanted = state["label"] or "", query.get("label")
            named = wanted in (None, label) or (service.label_parts and wanted in label)
            solver = query.get("solver", state["solver"]["name"]) == state["solver"]["name"]
            return named and solver and query.get("status", state["status"]) == state["status"]

        states = [state for state in map(service.state, listed) if is_meant(state)]
        self.reply(states[-int(query.get("max_results", 1000)) :], "problems")

    def problem(self, id: str, what: list[str], query: dict[str, str]) -> None:
        problem = self.service.problems.get(id)
        if problem is None:
            self.reply(UNKNOWN, status=404)
            return
        if not what:
            if "timeout" in query:
                self.service.hold([problem], float(query["timeout"]))
            self.reply(self.service.state(problem, answer=True), "problem")
            return
        state = self.service.state(problem, answer=True)
        answer = {"answer": state.pop("answer")} if "answer" in state else {}
        if what[0] == "answer":
            self.reply(answer, "problem-answer")
        elif what[0] == "messages":
            self.reply([], "problem-message")
        else:
            about = {key: value for key, value in state.items() if key != "id"}
            about |= {"submitted_by": "stand-in", "messages": []}
            info = {"id": id, "data": problem.data, "params": problem.params, "metadata": about}
            self.reply(info | answer, "problem-data")
