# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Slurm cluster of one node for tests, which ends with them.

It listens on the loopback interface, and all of its files are in a temporary
folder. It runs as the user of the tests.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = "On Debian or Ubuntu: apt install slurm-wlm munge"

PATIENCE = 60.0
"""Longest that something may take that takes a moment (s)."""

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")

SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
MailProg=/bin/true
MpiDefault=none
KillWait=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={n_cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class NotInstalledError(Exception):
    """There is no Slurm that could be started."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Parameters
    ----------
    config : `~pathlib.Path`
        Its configuration; commands find it by the variable ``SLURM_CONF``.
    host : `str`
        Name of its only node.
    """

    config: Path
    host: str

    @property
    def environment(self) -> dict[str, str]:
        """What the environment of its commands needs."""
        return {"SLURM_CONF": str(self.config)}

    def run(self, *command: str) -> str:
        """Run a command of Slurm; return what it writes."""
        ended = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            cwd=self.config.parent,
            timeout=PATIENCE,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise RuntimeError(f"{' '.join(command)}: {ended.stderr}")
        return ended.stdout.strip()

    def queue(self, name: str = "") -> list[tuple[str, str]]:
        """Return id and state of each job in the queue, or of those named."""
        lines = self.run("squeue", "--noheader", "--format=%i %T", *([f"--name={name}"] if name else []))
        return [tuple(line.split()) for line in lines.splitlines()]  # type: ignore[misc]

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Have another job occupy the whole node."""
        job = self.run("sbatch", "--parsable", "--exclusive", "--output=/dev/null", "--wrap=sleep 600")
        wait_until(lambda: (job, "RUNNING") in self.queue(), "the other job runs")
        try:
            yield
        finally:
            self.run("scancel", job)
            wait_until(lambda: job not in dict(self.queue()), "the other job has ended")

    @contextlib.contextmanager
    def drained(self) -> Iterator[None]:
        """Have the node take no more jobs."""
        self.run("scontrol", "update", f"nodename={self.host}", "state=drain", "reason=test")
        try:
            yield
        finally:
            self.run("scontrol", "update", f"nodename={self.host}", "state=resume")


@contextlib.contextmanager
def running_cluster(n_cpus: int = 2) -> Iterator[Cluster]:
    """Run a cluster, for as long as the context lasts and no longer.

    Yields
    ------
    cluster : `Cluster`

    Raises
    ------
    NotInstalledError
        If a part is missing; the message says which.
    """
    missing = [name for name in (*DAEMONS, *COMMANDS) if _program(name) is None]
    if missing:
        raise NotInstalledError(f"Slurm is not installed: no {', '.join(missing)}. {PACKAGES}")
    with (
        tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as daemons,
    ):
        folder, host = Path(name), socket.gethostname().partition(".")[0]
        for part in ("state", "spool"):
            (folder / part).mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        config = folder / "slurm.conf"
        user = pwd.getpwuid(os.getuid()).pw_name
        config.write_text(
            SETTINGS.format(host=host, ports=_free_ports(), folder=folder, user=user, n_cpus=n_cpus)
        )
        cluster = Cluster(config, host)
        options = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
        munge = [f"--{option}={folder}/munge.{suffix}" for option, suffix in options.items()]
        seed = f"--seed-file={folder}/munge.seed"
        daemons.enter_context(_daemon(folder, "munged", "--foreground", "--force", *munge, seed))
        wait_until((folder / "munge.socket").exists, "munged listens")
        daemons.enter_context(_daemon(folder, "slurmctld", "-D", "-f", str(config)))
        daemons.enter_context(_daemon(folder, "slurmd", "-D", "-f", str(config), "-N", host))
        try:
            wait_until(lambda: _is_idle(cluster), "the node is idle")
        except TimeoutError as error:
            logs = "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in sorted(folder.glob("*.out")))
            raise NotInstalledError(f"Slurm cannot run here: {error}\n{logs}") from error
        try:
            yield cluster
        finally:
            cluster.run("scancel", f"--user={user}")
            wait_until(lambda: not cluster.queue(), "the queue is empty")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait, in a thread that may block."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"{what}: not within {PATIENCE:g} s")
        time.sleep(0.1)


def _is_idle(cluster: Cluster) -> bool:
    try:
        return cluster.run("sinfo", "--noheader", "--format=%T") == "idle"
    except RuntimeError:
        return False


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@contextlib.contextmanager
def _daemon(folder: Path, name: str, *arguments: str) -> Iterator[None]:
    """Run a daemon in the foreground; with this process it ends, killed or
    not."""
    program = _program(name)
    assert program is not None, "that was seen to"
    setpriv = shutil.which("setpriv")
    until_we_end = [] if setpriv is None else [setpriv, "--pdeathsig", "TERM"]
    with (folder / f"{name}.out").open("w") as log:
        process = subprocess.Popen(
            [*until_we_end, program, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
