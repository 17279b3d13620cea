"""Run a module as `python -m` would, but with the installed package.

    python tests/launch.py django makemigrations --check
    python tests/launch.py celery -A tests.some_app worker

`python -m` puts the current directory first on sys.path, where the checkout would hide the wheel.
Here the checkout comes last, so that `tests` is importable and nothing else comes from it.
Celery puts the current directory first too, so start a worker from another directory.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the module that the first argument names; pass the other arguments to it."""
    tests = Path(__file__).resolve().parent
    sys.path[0:1] = []
    sys.path.append(str(tests.parent))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
