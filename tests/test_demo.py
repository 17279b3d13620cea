"""The demonstration: its output fits the terminal, and Ctrl-C ends all of its processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest

import screen

pytestmark = pytest.mark.alike

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = Path("/proc")
HEADINGS = ("TASK", "RESULT")
ROWS = [("add(2, 3)", "5"), ("divide(1, 0)", "ZeroDivisionError: division by zero")]


# -- Text ------------------------------------------------------------------------------


def test_a_table_has_columns_as_wide_as_their_widest_cells() -> None:
    """This holds if the screen is wide enough."""
    expected = [
        "TASK          RESULT",
        "add(2, 3)     5",
        "divide(1, 0)  ZeroDivisionError: division by zero",
    ]
    assert expected == screen.table(HEADINGS, ROWS, 100)


def test_the_widest_column_is_cut_with_an_ellipsis() -> None:
    """The other columns stay whole."""
    expected = [
        "TASK          RESULT",
        "add(2, 3)     5",
        "divide(1, 0)  ZeroDivisionError:…",
    ]
    assert expected == screen.table(HEADINGS, ROWS, 34)


@pytest.mark.parametrize("width", [4, 10, 20, 40, 80])
def test_a_table_fits_the_width(width: int) -> None:
    """Columns may shrink to one character."""
    assert width >= max(map(len, screen.table(HEADINGS, ROWS, width)))


def test_a_cell_is_one_line() -> None:
    """The message of an exception may have several lines."""
    assert "first second" == screen.shorten("first\nsecond", 20)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Harbour: 21 °C", "Harbour: 21 °C"),
        (5, "5"),
        (None, "None"),
        ([1, 2], "[1, 2]"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_values_are_shown_as_a_person_writes_them(value: Any, text: str) -> None:
    """Strings without quotes, exceptions as at the end of a traceback."""
    assert text == screen.value_text(value)


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        ("()", "add()"),
        ("('Harbour',)", "add('Harbour')"),
        ("([1, 2], 3)", "add([1, 2], 3)"),
    ],
)
def test_a_call_is_shown_as_it_is_written_in_python(arguments: str, call: str) -> None:
    """Celery stores the `repr` of the tuple of arguments."""
    assert call == screen.call_text("demo_site.tasks.add", arguments)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.0041, "  4 ms"), (0.25, "250 ms"), (2.44, " 2.4 s")]
)
def test_times_are_shown_in_the_unit_that_suits_them(seconds: float | None, text: str) -> None:
    """They are right-aligned, so that they line up in a column."""
    assert text == screen.time_text(seconds)


def test_progress_is_shown_as_a_bar() -> None:
    """The numbers follow the bar."""
    assert "█████░░░░░░░░░░░░░░░ 1 of 4" == screen.progress_bar({"done": 1, "of": 4})


# -- The site --------------------------------------------------------------------------


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A copy of the demonstration, with its own database and messages."""
    ignore = shutil.ignore_patterns("data", "__pycache__")
    copy = shutil.copytree(ROOT / "examples" / "demo", tmp_path / "demo", ignore=ignore)
    return Path(copy)


@contextmanager
def running(demo: Path, *command: str, columns: int = 80) -> Iterator[subprocess.Popen[str]]:
    """Start a command in its own process group; end that group after the block."""
    process = subprocess.Popen(
        command,
        cwd=demo,
        env={
            "COLUMNS": str(columns),
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(demo.parent),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def output_of(process: subprocess.Popen[str]) -> IO[str]:
    """The output of the process, which can be read while the process runs."""
    assert process.stdout is not None
    return process.stdout


def read_until(process: subprocess.Popen[str], marker: str) -> str:
    """Return the output up to the line that contains ``marker``."""
    lines = []
    for line in output_of(process):
        lines.append(line)
        if marker in line:
            return "".join(lines)
    raise AssertionError(f"no {marker!r} in:\n{''.join(lines)}")


def processes_left_in(directory: Path) -> list[str]:
    """The ids of the processes left after ten seconds: killed ones take a moment to end."""
    deadline = time.monotonic() + 10
    while (found := processes_in(directory)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def processes_in(directory: Path) -> list[str]:
    """The ids of the processes that have ``directory`` as their current directory."""
    found = []
    for process in PROCESSES.glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == directory:
                found.append(process.name)
    return found


def test_a_chosen_port_that_is_taken_is_an_error(demo: Path) -> None:
    """The message says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with running(demo, sys.executable, "manage.py", "admin", "--port", port) as process:
            output, _ = process.communicate(timeout=60)

    expected = (
        f"CommandError: Port {port} is taken by another program. Give another, as in "
        "`make demo-admin PORT=8001`, or leave PORT out to use a free one.\n"
    )
    assert expected == output
    assert 1 == process.returncode


@pytest.mark.parametrize("port", ["admin", "65536"])
def test_a_port_that_cannot_exist_is_an_error(demo: Path, port: str) -> None:
    """The message gives an example of a valid port."""
    with running(demo, sys.executable, "manage.py", "admin", f"--port={port}") as process:
        output, _ = process.communicate(timeout=60)

    expected = (
        f"CommandError: '{port}' is not a port. Give a number from 1 to 65535, as in "
        "`make demo-admin PORT=8001`.\n"
    )
    assert expected == output
    assert 1 == process.returncode


def test_a_free_port_is_used_where_8000_is_taken(demo: Path) -> None:
    """The command names the port, and `/` there redirects to the admin."""
    with take_port_8000(), running(demo, sys.executable, "manage.py", "admin") as process:
        output = read_until(process, "Stop with")
        address = output.partition("Open       ")[2].split()[0]
        with open_when_ready(address) as response:
            landed = response.url

    assert "Port 8000 is taken, so this uses port " in output
    assert f"{address}admin/login/?next=/admin/" == landed


@contextmanager
def take_port_8000() -> Iterator[None]:
    """Listen on port 8000, unless another program already does."""
    try:
        server = socket.create_server(("127.0.0.1", 8000))
    except OSError:
        yield
        return
    with server:
        yield


def open_when_ready(address: str) -> Any:
    """Open a page of a server that is about to listen."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(address, timeout=30)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


# -- The worker ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 100])
def test_the_demonstration_shows_what_became_of_its_tasks(demo: Path, columns: int) -> None:
    """Every line fits, and the last screen of 40 lines shows the tasks and the plugins."""
    with running(demo, sys.executable, "demo.py", columns=columns) as process:
        output, _ = process.communicate(timeout=100)

    lines = output.splitlines()
    last_screen = "\n".join(lines[-39:])
    assert 0 == process.returncode, output
    assert columns >= max(map(len, lines))
    wanted = ["What became of the tasks", "SUCCESS", "  Harbour: 21 °C", "The plugins at work"]
    assert [] == [text for text in wanted if text not in last_screen]
    assert ("ZeroDivisionError: division by zero" in last_screen) == (columns == 100)


@pytest.mark.slow
@pytest.mark.skipif(not (PROCESSES / "self" / "cwd").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("options", "marker"),
    [
        pytest.param(["-v"], "import 'django' #", id="during the imports"),
        pytest.param([], "Messages", id="during the migrations"),
        pytest.param([], "Starting the worker", id="while the worker starts"),
        pytest.param([], "bake(4)", id="while tasks run"),
    ],
)
def test_ctrl_c_ends_the_demonstration(demo: Path, options: list[str], marker: str) -> None:
    """It ends without a traceback, has the exit status of an interruption, and ends the worker."""
    with running(demo, sys.executable, *options, "demo.py") as process:
        read_until(process, marker)
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=60)

    assert 128 + signal.SIGINT == process.returncode
    assert "Traceback" not in rest
    assert rest.endswith("\nStopped.\n")
    assert [] == processes_left_in(demo)


@pytest.mark.slow
def test_a_reader_that_ends_is_not_an_error_with_a_traceback(demo: Path) -> None:
    """In `make demo | head`, `head` ends first; the worker must be stopped then too."""
    with running(demo, "sh", "-c", f"{sys.executable} demo.py | head -n 3") as process:
        output, _ = process.communicate(timeout=60)

    assert "\nSetting up\n──────────\n" == output
    assert [] == processes_left_in(demo)


@pytest.mark.slow
def test_a_worker_that_ends_too_early_is_an_error(demo: Path) -> None:
    """The message names the worker's log and shows the end of it."""
    with (demo / "demo_site" / "celery.py").open("a", encoding="utf-8") as module:
        module.write("import sys\nif 'worker' in sys.argv:\n    sys.exit('no settings')\n")

    with running(demo, sys.executable, "demo.py") as process:
        output, _ = process.communicate(timeout=60)

    expected = "The worker ended with status 1. The end of its log, data/worker.log:\nno settings\n"
    assert output.endswith(expected)
    assert 1 == process.returncode


# -- The Makefile ----------------------------------------------------------------------


@contextmanager
def making(directory: Path, python: str) -> Iterator[subprocess.Popen[str]]:
    """Run `make demo` with a script instead of Python, which would make the environment first."""
    script = directory / "python"
    script.write_text(f"#!/bin/sh\n{python}\n")
    script.chmod(0o755)
    settings = [f"PYTHON={script}", f"VENV={directory / '.venv'}"]
    with running(directory, "make", "-C", str(ROOT), *settings, "demo") as process:
        yield process


def test_ctrl_c_while_the_environment_is_made_ends_make(tmp_path: Path) -> None:
    """The signal ends make, which a shell reports as 130, and pip's output is not shown."""
    started = tmp_path / "started"
    with making(tmp_path, f"echo noise; touch {started}; exec sleep 100") as process:
        read_until(process, "Making the environment")
        while not started.exists():
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=60)

    assert -signal.SIGINT == process.returncode
    assert "noise" not in rest


def test_a_failure_to_make_the_environment_is_shown(tmp_path: Path) -> None:
    """The output of the failed command is shown, which is hidden otherwise."""
    with making(tmp_path, "echo no space left; exit 1") as process:
        output, _ = process.communicate(timeout=60)

    assert 2 == process.returncode
    assert "no space left\nThis command failed; its output is above: " in output


def test_make_passes_the_port_on(tmp_path: Path) -> None:
    """`make demo-admin PORT=8001` must use port 8001."""
    settings = [f"VENV={tmp_path / '.venv'}", "PORT=8001"]
    command = ["make", "-C", str(ROOT), "--dry-run", *settings, "demo-admin"]
    with running(tmp_path, *command) as process:
        output, _ = process.communicate(timeout=60)

    assert "manage.py admin --port 8001" in output
