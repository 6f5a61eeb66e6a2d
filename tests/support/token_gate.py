"""A proxy with HTTPS that asks for a token, as they stand before Prometheus in clusters."""

from __future__ import annotations

import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import urllib3


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate of its own authority for this machine; return it and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / f"{name}.crt", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext"]
    command += ["subjectAltName=IP:127.0.0.1", "-out", str(found[0]), "-keyout", str(found[1])]
    subprocess.run(command, check=True, capture_output=True)
    return found


class TokenGate:
    """Passes requests with the right token on, as a context manager.

    Args:
        behind: Address of who answers.
        behind_ca: Certificate to verify it with.
        own: Certificate and key of the gate.
        longest: Longest address that it takes, in bytes.
    """

    def __init__(
        self, behind: str, behind_ca: Path, own: tuple[Path, Path], longest: int = 8000
    ) -> None:
        self.token = ""
        self.allowed = True
        outer = self
        pool = urllib3.PoolManager(ca_certs=str(behind_ca), retries=False)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if len(self.path) > longest:
                    return self.answer(414, b"URI too long")
                if self.headers.get("Authorization") != f"Bearer {outer.token}":
                    return self.answer(401, b"Unauthorized")
                if not outer.allowed:
                    return self.answer(403, b"Forbidden")
                kind = {"Content-Type": self.headers.get("Content-Type", "")}
                found = pool.request("POST", behind + self.path, body=body, headers=kind)
                return self.answer(found.status, found.data)

            def answer(self, status: int, data: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, own))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> TokenGate:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
