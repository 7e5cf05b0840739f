# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server for tests, which ends with them.

It listens on a Unix socket in a temporary folder, never on the network.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PACKAGES = "On Debian or Ubuntu: apt install postgresql postgresql-contrib"

ADMINISTRATOR = "postgres"

PATIENCE = 60.0
"""Longest that something may take that takes a moment (s)."""

DEBIANS_PROGRAMS = Path("/usr/lib/postgresql")

FAST_AND_FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
}
"""Settings for data that need not survive a power failure."""


class NotInstalledError(Exception):
    """There is no PostgreSQL that could be started."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of its socket.
    pid : `int`
        Its process.
    """

    folder: Path
    pid: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def connect(self, database: str = "postgres") -> Any:
        """Return a connection of the administrator's.

        It waits a minute for a lock, and leaves it to others to notice a
        deadlock; whatever the environment has set.
        """
        import psycopg2

        return psycopg2.connect(
            host=str(self.folder),
            dbname=database,
            user=ADMINISTRATOR,
            options="-c deadlock_timeout=1h -c lock_timeout=60s",
        )

    def has(self, extension: str) -> bool:
        """Return whether databases can have an extension."""
        return Database(self, "postgres").execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = %s", (extension,)
        ) == [(1,)]

    def create_database(self) -> Database:
        """Make an empty database, with what a Butler's registry needs."""
        name = f"registry{next(self._numbers)}"
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"CREATE DATABASE {name}")
        database = Database(self, name)
        database.execute("CREATE EXTENSION btree_gist")
        return database


@dataclass(frozen=True)
class Database:
    """A database of a server.

    Parameters
    ----------
    server : `Server`
        Where it is.
    name : `str`
        Its name.
    """

    server: Server
    name: str

    @property
    def url(self) -> str:
        """For SQLAlchemy; the user is the one of the environment (PGUSER)."""
        return f"postgresql+psycopg2:///{self.name}?host={self.server.folder}"

    def connect(self) -> Any:
        """Return a connection; see `Server.connect`."""
        return self.server.connect(self.name)

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own; return its rows."""
        with contextlib.closing(self.connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return [] if cursor.description is None else cursor.fetchall()

    def tables(self, pattern: str = "%") -> list[str]:
        """Return the tables whose names are LIKE a pattern."""
        rows = self.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE %s ORDER BY 1",
            (pattern,),
        )
        return [f'"{name}"' for (name,) in rows]

    def create_reader(self) -> str:
        """Return a user who may read the tables and no more."""
        with contextlib.closing(self.connect()) as connection, connection, connection.cursor() as cursor:
            user = f"reader_of_{self.name}"
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE ROLE {user} LOGIN")
            cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}")
        return user

    @contextlib.contextmanager
    def full(self, *tables: str) -> Iterator[None]:
        """Have the server find no room for what is written into tables."""
        self.execute(
            "CREATE FUNCTION find_no_room() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )
        for table in tables:
            self.execute(f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION find_no_room()")
        try:
            yield
        finally:
            self.execute("DROP FUNCTION find_no_room CASCADE")

    @contextlib.contextmanager
    def locked(self, *tables: str) -> Iterator[None]:
        """Have a transaction that keeps others from writing into tables.

        Parameters
        ----------
        *tables : `str`
            Names of tables, by default of all.
        """
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {', '.join(tables or self.tables())} IN EXCLUSIVE MODE")
            yield

    def n_waiting(self) -> int:
        """Return how many connections wait for a lock."""
        [(number,)] = self.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock'"
        )
        return int(number)


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Run a server, for as long as the context lasts and no longer.

    Yields
    ------
    server : `Server`

    Raises
    ------
    NotInstalledError
        If a part is missing; the message says which.
    """
    programs = _programs()
    # PostgreSQL refuses to run as root.
    user = _unprivileged_user() if os.geteuid() == 0 else None
    # The path of a socket is short: pytest's own folders may be too deep,
    # and only root may enter them.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        identity: dict[str, Any] = (
            {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        )
        data = folder / "data"
        made = subprocess.run(
            [
                *(programs / "initdb", "--pgdata", data, "--username", ADMINISTRATOR),
                *("--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **identity,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stdout}")
        # Of a deadlock between a Butler and a test, the Butler is the one
        # that notices, soon.
        settings = FAST_AND_FORGETFUL | {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "deadlock_timeout": "100ms",
        }
        log = folder / "log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [
                    *_until_this_process_ends(),
                    *(programs / "postgres", "-D", data),
                    *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
                ],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                # Interrupting the tests must not end it before them.
                start_new_session=True,
                **identity,
            )
        try:
            server = Server(folder, process.pid)
            _wait_until_ready(server, process, log)
            if not server.has("btree_gist"):
                raise NotInstalledError(f"PostgreSQL in {programs} lacks btree_gist. {PACKAGES}")
            yield server
        finally:
            _stop(process)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait, in a thread that may block.

    Parameters
    ----------
    condition : callable
        What is waited for.
    what : `str`
        The same, in words.
    """
    limit = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"{what}: not within {PATIENCE:g} s")
        time.sleep(0.02)


def _programs() -> Path:
    """Return the folder of the newest server."""
    try:
        import psycopg2  # noqa: F401
    except ImportError as error:
        raise NotInstalledError("psycopg2 is not installed: pip install psycopg2-binary") from error
    folders = [folder / "bin" for folder in DEBIANS_PROGRAMS.glob("[0-9]*")]
    folders.sort(key=lambda folder: float(folder.parent.name))
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    for folder in reversed(folders):
        if not all((folder / name).is_file() for name in ("initdb", "postgres")):
            continue
        return folder
    raise NotInstalledError(f"PostgreSQL is not installed. {PACKAGES}")


def _unprivileged_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise NotInstalledError("PostgreSQL does not run as root, and there is no account postgres nor nobody")


def _until_this_process_ends() -> list[str]:
    """Return the words that end a command with this process, even killed."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "QUIT"]


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg2

    def is_ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"PostgreSQL has ended: {log.read_text()}")
        try:
            server.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    wait_until(is_ready, "PostgreSQL answers")


def _stop(process: subprocess.Popen[bytes]) -> None:
    # This ends its connections too.
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
