"""Database servers that a test starts and may kill, each with its data in a new directory.

The servers refuse to run as root, so root runs each as the system user of its package.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from tests import settings
from tests.conftest import program, require_program

__all__ = ["SERVERS", "MariaDBServer", "PgBouncer", "PostgreSQLServer", "Server", "free_port"]

#: Seconds that a server may take to accept connections, also after a crash.
START_TIMEOUT = 60
#: Seconds that a server may take to end.
STOP_TIMEOUT = 10


def free_port() -> int:
    """Return a port that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Daemon:
    """A program that runs in its own directory until it is killed."""

    #: The system user that it runs as when the tests run as root.
    user: str
    programs: tuple[str, ...]

    def __init__(self) -> None:
        require_program(*self.programs)
        self.port = free_port()
        # Not pytest's temporary directory, which the system user cannot enter.
        self.directory = Path(tempfile.mkdtemp(prefix="results-server-", dir="/tmp"))
        if os.geteuid() == 0:
            shutil.chown(self.directory, self.user)
        self.log = self.directory / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the command line of the server."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Return whether the server accepts connections."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self.answers():
            # Leftovers of a killed server may make the start fail at first, so try again.
            if self.process is None or self.process.poll() is not None:
                self.process = self.run(*self.command())
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.command()} does not answer: {self.log.read_text()}")
            time.sleep(0.1)

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program as the server's user."""
        is_root = os.geteuid() == 0
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(program(command[0])), *command[1:]],
                cwd=self.directory,
                # The system user may not be able to enter the tests' TMPDIR.
                env={**os.environ, "TMPDIR": str(self.directory)},
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.user if is_root else None,
                group=self.user if is_root else None,
                extra_groups=[] if is_root else None,
            )

    def finish(self, *command: str) -> None:
        """Run a program and wait for its end."""
        if self.run(*command).wait():
            raise RuntimeError(f"{command} failed: {self.log.read_text()}")

    def kill(self) -> None:
        """Kill the server without warning."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def remove(self) -> None:
        """End the server and delete its directory."""
        if self.process is not None:
            # Do not kill it first: the children of a killed server outlive it for a moment. But
            # it may ignore SIGQUIT, if the process that started the tests ignores it.
            self.process.send_signal(signal.SIGQUIT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_TIMEOUT)
            self.kill()
        shutil.rmtree(self.directory)


class Server(Daemon):
    """A database server, for the database that the settings name."""

    name = settings.DATABASES["default"]["NAME"]
    driver: str

    def environment(self) -> dict[str, str]:
        """Return the variables that point a process with the test settings to this server."""
        raise NotImplementedError

    def connect(self, name: str = "") -> Any:
        """Return a connection of the driver, to the database ``name`` if there is a name."""
        raise NotImplementedError

    def execute(self, statement: str) -> None:
        """Execute a statement outside a transaction."""
        raise NotImplementedError

    def create(self) -> None:
        """Create the server's data directory."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Return whether the server accepts connections."""
        with suppress(import_module(self.driver).OperationalError):
            self.connect().close()
            return True
        return False

    def close_all_connections(self) -> None:
        """End every connection to the database except its own."""
        raise NotImplementedError


class PostgreSQLServer(Server):
    """PostgreSQL."""

    user = "postgres"
    driver = "psycopg"
    programs = ("initdb", "postgres")

    def environment(self) -> dict[str, str]:
        """Return the variables that point a process with the test settings to this server."""
        return {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(self.port)}

    def create(self) -> None:
        """Create the server's data directory."""
        options = ["--auth=trust", "--username", settings.POSTGRES_USER, "--encoding=UTF8"]
        self.finish("initdb", *options, "--locale=C.UTF-8", "--no-sync", f"{self.directory}/data")

    def command(self) -> list[str]:
        """Return the command line of the server."""
        place = ["-D", f"{self.directory}/data", "-h", "127.0.0.1", "-p", str(self.port)]
        # The machine keeps running when the server is killed, so its writes are safe without fsync.
        return ["postgres", *place, "-k", str(self.directory), "-c", "fsync=off"]

    def connect(self, name: str = "") -> Any:
        """Return a connection of the driver, to the database ``name`` if there is a name."""
        return import_module(self.driver).connect(
            host="127.0.0.1",
            port=self.port,
            user=settings.POSTGRES_USER,
            dbname=name or "postgres",
            autocommit=True,
        )

    def execute(self, statement: str) -> None:
        """Execute a statement outside a transaction."""
        with self.connect() as connection:
            connection.execute(statement)

    def close_all_connections(self) -> None:
        """End every connection to the database except its own."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{self.name}' AND pid <> pg_backend_pid()"
        )


class MariaDBServer(Server):
    """MariaDB."""

    user = "mysql"
    driver = "MySQLdb"
    programs = ("mariadb-install-db", "mariadbd")

    def environment(self) -> dict[str, str]:
        """Return the variables that point a process with the test settings to this server."""
        return {"MARIADB_HOST": "127.0.0.1", "MARIADB_PORT": str(self.port)}

    def create(self) -> None:
        """Create the server's data directory."""
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        where = f"--datadir={self.directory}/data"
        self.finish("mariadb-install-db", "--no-defaults", where, *options)

    def command(self) -> list[str]:
        """Return the command line of the server."""
        place = [f"--datadir={self.directory}/data", f"--socket={self.directory}/socket"]
        network = ["--bind-address=127.0.0.1", f"--port={self.port}"]
        # As above, the machine keeps running.
        safety = "--innodb-flush-log-at-trx-commit=2"
        return ["mariadbd", "--no-defaults", *place, *network, "--skip-name-resolve", safety]

    def connect(self, name: str = "") -> Any:
        """Return a connection of the driver, to the database ``name`` if there is a name."""
        return import_module(self.driver).connect(
            host="127.0.0.1", port=self.port, user="root", database=name
        )

    def execute(self, statement: str) -> None:
        """Execute a statement outside a transaction."""
        connection = self.connect()
        connection.query(statement)
        connection.close()

    def close_all_connections(self) -> None:
        """End every connection to the database except its own."""
        connection = self.connect()
        cursor = connection.cursor()
        cursor.execute(f"SELECT id FROM information_schema.processlist WHERE db = '{self.name}'")
        for (number,) in cursor.fetchall():
            # Some have already ended.
            with suppress(connection.OperationalError):
                cursor.execute(f"KILL {number}")
        connection.close()


class PgBouncer(Daemon):
    """PgBouncer in transaction pooling mode, in front of the settings' PostgreSQL server."""

    user = "postgres"
    programs = ("pgbouncer",)
    #: Number of connections to PostgreSQL: fewer than the workers open to PgBouncer.
    size = 3

    def command(self) -> list[str]:
        """Write the configuration and return the command line."""
        server = f"host={settings.POSTGRES_HOST} port={settings.POSTGRES_PORT}"
        login = f"user={settings.POSTGRES_USER}"
        if settings.POSTGRES_PASSWORD:
            login += f" password={settings.POSTGRES_PASSWORD}"
        lines = [
            "[databases]",
            f"{settings.DATABASES['default']['NAME']} = {server} {login}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {self.port}",
            "unix_socket_dir =",
            "auth_type = any",
            "pool_mode = transaction",
            f"default_pool_size = {self.size}",
        ]
        configuration = self.directory / "pgbouncer.ini"
        configuration.write_text("\n".join(lines))
        return ["pgbouncer", str(configuration)]

    def answers(self) -> bool:
        """Return whether the server accepts connections."""
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        return False

    def environment(self) -> dict[str, str]:
        """Return the variables that point a process with the test settings to PgBouncer."""
        return {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(self.port)}


SERVERS: dict[str, type[Server]] = {"postgresql": PostgreSQLServer, "mariadb": MariaDBServer}
