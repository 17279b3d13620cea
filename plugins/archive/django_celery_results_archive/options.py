"""The plugin's settings."""

from __future__ import annotations

import re
from importlib.util import find_spec

from django_celery_results.options import Option, PluginOptions, boolean, storage_alias

from .formats import FORMATS, Format

__all__ = ["ArchiveOptions", "options"]


def file_format(value: object) -> Format:
    """Read the name of a format whose library is installed."""
    found = FORMATS.get(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"one of {', '.join(map(repr, FORMATS))}")
    if found.library and find_spec(found.library) is None:
        raise ValueError(
            f"a format other than {value!r}, which needs {found.library}; to install it, run "
            "pip install 'django-celery-results-archive[parquet]'"
        )
    return found


def folder(value: object) -> str:
    """Read a relative path."""
    if isinstance(value, str) and re.fullmatch(r"[\w.+-]+(/[\w.+-]+)*", value, re.ASCII):
        path = value.split("/")
        if not {".", ".."} & set(path):
            return value
    raise ValueError("a relative path such as 'celery-results' or 'backups/results'")


class ArchiveOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["archive"]``."""

    plugin = "archive"
    check_prefix = "django_celery_results_archive"

    #: The alias of the storage, without a default: Django's default storage is often public.
    storage: Option[str] = Option(storage_alias, check="E002")
    #: The format of the files.
    format: Option[Format] = Option(file_format, default=FORMATS["jsonl"], check="E003")
    #: The folder in the storage.
    prefix: Option[str] = Option(folder, default="celery-results", check="E004")
    #: Whether JSON Lines files are compressed; Parquet compresses by itself.
    gzip: Option[bool] = Option(boolean, default=False, check="E005")


options = ArchiveOptions()
