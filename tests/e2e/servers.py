"""A real Jaeger and real collectors as children of the test run, every port on 127.0.0.1."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from tests.e2e.build import binaries

ROOT: Final = Path(__file__).parents[2]
COLLECTOR_CONFIG: Final = ROOT / "collector-config.yaml"
DEPLOY: Final = ROOT / "examples" / "deploy"
#: What anything may take on a machine that is busy with other things.
PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.05
_STARTS: Final = 5
_READY: Final = "Everything is ready"
_PORT_TAKEN: Final = "address already in use"

T = TypeVar("T")

#: Those whose logs belong to a failure.
RUNNING: Final[list[Server]] = []


def eventually(look: Callable[[], T | None], what: str) -> T:
    """Return what `look` returns, once it is something true."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline_s, f"{what}: not within {PATIENCE_S:.0f} s"
        time.sleep(_POLL_S)


@dataclass
class Server:
    """A running child.

    ports: the environment variables that the configuration takes its ports from, with their values.
    """

    name: str
    process: subprocess.Popen[bytes]
    ports: Mapping[str, int]
    log_file: Path

    def log(self) -> str:
        """Return what it has said so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def address(self, port: str) -> str:
        return f"127.0.0.1:{self.ports[port]}"

    def url(self, port: str) -> str:
        return f"http://{self.address(port)}"

    @property
    def traces_url(self) -> str:
        return f"{self.url('OTLP_HTTP_PORT')}/v1/traces"

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would: it says and saves nothing more."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end; its log:\n{self.log()[-3000:]}") from None


@contextlib.contextmanager
def running(
    binary: str,
    *configs: Path,
    directory: Path,
    ports: tuple[str, ...],
    name: str = "",
    **environ: object,
) -> Iterator[Server]:
    """Start a binary with free ports, wait until it is ready, end it with the block.

    directory: for its log and its state.
    ports: environment variables that the configurations take ports from.
    environ: the other ones they read.
    """
    server = _start(binary, configs, directory, ports, name or binary, environ)
    RUNNING.append(server)
    try:
        yield server
    finally:
        RUNNING.remove(server)
        server.stop()


def _start(
    binary: str,
    configs: tuple[Path, ...],
    directory: Path,
    ports: tuple[str, ...],
    name: str,
    environ: Mapping[str, object],
) -> Server:
    directory.mkdir(parents=True, exist_ok=True)
    command = [str(binaries() / binary)]
    for config in configs:
        command += ["--config", str(config)]
    for number in range(_STARTS):
        taken = dict(zip(ports, _free_ports(len(ports)), strict=True))
        log_file = directory / f"{name}-{time.monotonic_ns()}-{number}.log"
        told = {key: str(value) for key, value in {**environ, **taken}.items()}
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=directory, env=_environ(told), stdout=log, stderr=subprocess.STDOUT
            )
        server = Server(name, process, taken, log_file)
        try:
            eventually(
                lambda server=server: _READY in server.log() or server.process.poll() is not None, name
            )
        except AssertionError:
            server.kill()
            raise AssertionError(f"{name} is not ready; its log:\n{server.log()[-3000:]}") from None
        if process.poll() is None:
            return server
        # Between our finding it free and its taking it, a port may become another's.
        assert _PORT_TAKEN in server.log(), f"{name} did not start:\n{server.log()[-3000:]}"
    raise AssertionError(f"{name} found none of its ports free, {_STARTS} times")


def _environ(told: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which no variable of this run changes what a configuration says."""
    return {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/"), **told}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def listening(pid: int) -> set[tuple[str, int]]:
    """Return the addresses and ports that a process listens on (Linux).

    Source: https://docs.kernel.org/networking/proc_net_tcp.html
    """
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor)):
                inodes.add(found[1])
    heard = set()
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and inode in inodes:
                address, port = local.split(":")
                words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
                heard.add((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
    return heard
