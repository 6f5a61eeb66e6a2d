"""A real Kubernetes control plane on loopback: etcd, API server, controllers, scheduler."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

import kubernetes
import urllib3

from demos.cluster.assets import COMMANDS, kubernetes_folder
from demos.cluster.audit import audit_arguments
from demos.cluster.processes import ServerProcess, free_port

_READY_S = 120.0
_REQUEST_S = 2.0
_ADMIN = "admin"
_ADMIN_GROUP = "system:masters"


@dataclass(frozen=True, slots=True)
class ClusterUser:
    """Somebody whom the API server knows by a token.

    Attributes:
        name: Name, as RBAC sees it.
        groups: Groups, as RBAC sees them.
    """

    name: str
    groups: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        """The bearer token."""
        return f"token-of-{self.name}"


ADMIN = ClusterUser(_ADMIN, (_ADMIN_GROUP,))


class ControlPlane:
    """The four processes, as a context manager. All of them end with it.

    Args:
        folder: Empty folder for data, keys and logs.
        users: Whom the API server knows besides the administrator.
        scheduling: Whether the controller manager and the scheduler run too.
        audited: Names of users whose requests are written to `audit_log`.

    Raises:
        FileNotFoundError: The programs are not on this machine (on entering).
        ServerFailedError: A process does not get ready (on entering).
    """

    def __init__(
        self,
        folder: Path,
        users: Sequence[ClusterUser] = (),
        *,
        scheduling: bool = True,
        audited: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.users = (ADMIN, *users)
        self._scheduling = scheduling
        self._audited = tuple(audited)
        self._etcd_port, self._peer_port = free_port(), free_port()
        self.port = free_port()
        self.etcd: ServerProcess | None = None
        self.api_server: ServerProcess | None = None
        self.controllers: ServerProcess | None = None
        self.scheduler: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Address of the API server."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        """The certificate that clients verify the API server with."""
        return self.folder / "keys" / "apiserver.crt"

    @property
    def audit_log(self) -> Path:
        """The requests of audited users, a line of JSON each; written some time after."""
        return self.folder / "logs" / "audit.jsonl"

    def kubeconfig(self, user: ClusterUser = ADMIN) -> Path:
        """Write and return a configuration for clients, in JSON, which is YAML too."""
        # Colons separate files where clients take several.
        path = self.folder / f"kubeconfig-{user.name.replace(':', '-')}"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "local",
                    "clusters": [
                        {
                            "name": "local",
                            "cluster": {
                                "server": self.url,
                                "certificate-authority": str(self.certificate),
                            },
                        }
                    ],
                    "users": [{"name": user.name, "user": {"token": user.token}}],
                    "contexts": [
                        {"name": "local", "context": {"cluster": "local", "user": user.name}}
                    ],
                }
            ),
            encoding="utf-8",
        )
        path.chmod(0o600)
        return path

    def client(self, user: ClusterUser = ADMIN) -> kubernetes.client.ApiClient:
        """Return a client that acts as `user`."""
        settings = kubernetes.client.Configuration()
        settings.host = self.url
        settings.ssl_ca_cert = str(self.certificate)
        settings.api_key = {"authorization": user.token}
        settings.api_key_prefix = {"authorization": "Bearer"}
        settings.retries = False
        return kubernetes.client.ApiClient(settings)

    def __enter__(self) -> ControlPlane:
        programs = kubernetes_folder()
        if programs is None:
            raise FileNotFoundError(
                f"{', '.join(COMMANDS)}: not found; run tools/build_kubernetes.sh, or set "
                "KUBEBUILDER_ASSETS to the folder that holds them"
            )
        try:
            self._start(programs)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all processes, the dependent ones first."""
        for process in (self.scheduler, self.controllers, self.api_server, self.etcd):
            if process is not None:
                process.stop()

    def wait_ready(self, timeout_s: float = _READY_S) -> None:
        """Wait until the API server answers that it is ready.

        Raises:
            ServerFailedError: It ended, or the time passed.
        """
        assert self.api_server is not None
        self.api_server.wait_until(self._answers_ready, timeout_s)

    def _start(self, programs: Path) -> None:
        keys = self.folder / "keys"
        keys.mkdir(parents=True, exist_ok=True)
        signing_key = keys / "service-account.key"
        if not signing_key.exists():
            subprocess.run(
                ["openssl", "genrsa", "-out", str(signing_key), "2048"],
                check=True,
                capture_output=True,
            )
        tokens = self.folder / "tokens.csv"
        tokens.write_text(
            "".join(
                f'{user.token},{user.name},uid-{user.name},"{",".join(user.groups)}"\n'
                for user in self.users
            ),
            encoding="utf-8",
        )
        self._start_etcd(programs)
        self._start_api_server(programs, signing_key, tokens)
        if self._scheduling:
            self._start_controllers(programs, signing_key)

    def _server(self, programs: Path, name: str, *arguments: str) -> ServerProcess:
        log = self.folder / "logs" / f"{name}.log"
        server = ServerProcess(name, [str(programs / name), *arguments], log)
        server.start()
        return server

    def _start_etcd(self, programs: Path) -> None:
        client = f"http://127.0.0.1:{self._etcd_port}"
        peer = f"http://127.0.0.1:{self._peer_port}"
        self.etcd = self._server(
            programs,
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # nothing here outlives the machine
        )

        def answers() -> bool:
            return _status(f"{client}/health") == 200

        self.etcd.wait_until(answers, _READY_S)

    def _start_api_server(self, programs: Path, signing_key: Path, tokens: Path) -> None:
        self.api_server = self._server(
            programs,
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder / 'keys'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={signing_key}",
            f"--service-account-signing-key-file={signing_key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            # Pods here run nothing: they need no token of an account. New nodes are taken as ready,
            # as no controller here would ever say so.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--endpoint-reconciler-type=none",
            *audit_arguments(self.folder, self.audit_log, self._audited),
        )
        self.wait_ready()

    def _start_controllers(self, programs: Path, signing_key: Path) -> None:
        config = str(self.kubeconfig())
        fast = ("--kube-api-qps=500", "--kube-api-burst=1000", "--leader-elect=false")
        ports = free_port(), free_port()
        self.controllers = self._server(
            programs,
            "kube-controller-manager",
            f"--kubeconfig={config}",
            f"--service-account-private-key-file={signing_key}",
            # Nodes have no kubelet that reports: nobody may declare them dead.
            "--controllers=*,-nodelifecycle,-nodeipam,-route,-service,-attachdetach",
            "--port=0",
            "--bind-address=127.0.0.1",
            f"--secure-port={ports[0]}",
            f"--cert-dir={self.folder / 'keys-controllers'}",
            *fast,
        )
        self.scheduler = self._server(
            programs,
            "kube-scheduler",
            f"--kubeconfig={config}",
            "--port=0",
            "--bind-address=127.0.0.1",
            f"--secure-port={ports[1]}",
            f"--cert-dir={self.folder / 'keys-scheduler'}",
            *fast,
        )

        for process, port in zip((self.controllers, self.scheduler), ports, strict=True):
            process.wait_until(partial(_listens, port), _READY_S)

    def _answers_ready(self) -> bool:
        if not self.certificate.exists():
            return False
        return (
            _status(f"{self.url}/readyz", str(self.certificate), ADMIN.token) == 200
            and _status(f"{self.url}/api/v1/namespaces/default", str(self.certificate), ADMIN.token)
            == 200
        )


def _status(url: str, certificate: str | None = None, token: str = "") -> int | None:
    """Return the HTTP status of an address, or None where nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib3.PoolManager(ca_certs=certificate, retries=False) as pool:
            return pool.request("GET", url, headers=headers, timeout=_REQUEST_S).status
    except (urllib3.exceptions.HTTPError, OSError):
        return None


def _listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(_REQUEST_S)
        return client.connect_ex(("127.0.0.1", port)) == 0
