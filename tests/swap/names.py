"""Run by either release: prints the names that its modules and public classes have, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

PACKAGE = "django_celery_results"
#: The modules of 2.6.0, except its migrations.
MODULES = (
    "",
    ".admin",
    ".apps",
    ".backends",
    ".backends.cache",
    ".backends.database",
    ".managers",
    ".models",
    ".urls",
    ".utils",
    ".views",
)


def is_special(name: str) -> bool:
    """Return whether Python itself gives modules and classes such a name."""
    return name.startswith("__") and name != "__version__"


def attributes(value: Any) -> Iterator[str]:
    """Yield the names that the package gives to a class of its own."""
    if isinstance(value, type) and value.__module__.startswith(PACKAGE):
        own = [kind for kind in value.__mro__ if kind.__module__.startswith(PACKAGE)]
        yield from sorted({name for kind in own for name in vars(kind) if not is_special(name)})


def main() -> None:
    """Print each name as ``module:name`` or ``module:Class.name``."""
    names = []
    for suffix in MODULES:
        module = import_module(PACKAGE + suffix)
        for name, value in sorted(vars(module).items()):
            if not is_special(name):
                names.append(f"{PACKAGE}{suffix}:{name}")
                names += [f"{PACKAGE}{suffix}:{name}.{one}" for one in attributes(value)]
    sys.stdout.write(json.dumps(names) + "\n")


if __name__ == "__main__":
    main()
