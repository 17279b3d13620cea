"""The plugin's settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from django.core.checks import Error
from django.core.files.storage import storages

from django_celery_results.conf import results_settings
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.options import Option, PluginOptions, storage_alias, whole_number

from .pointers import CODING

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

__all__ = ["OffloadOptions", "options"]


def folder(value: object) -> str:
    """Read a relative path."""
    if isinstance(value, str) and re.fullmatch(
        r"[\w+-][\w.+-]*(/[\w+-][\w.+-]*)*", value, re.ASCII
    ):
        return value
    raise ValueError("a relative path such as 'celery-blobs' or 'results/blobs'")


class OffloadOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["offload"]``."""

    plugin = "offload"
    check_prefix = "django_celery_results_offload"

    #: The alias of the storage, without a default: Django's default storage is often public.
    storage: Option[str] = Option(storage_alias, check="E002")
    #: Bytes that a row may keep; above that, its largest contents are moved to the storage.
    threshold: Option[int] = Option(whole_number(1024), default=100_000, check="E003")
    #: The folder in the storage.
    prefix: Option[str] = Option(folder, default="celery-blobs", check="E004")

    def check(self) -> Iterator[CheckMessage]:
        """Yield the problems of the settings; a site that does not use the plugin needs none."""
        codings = results_settings.codings
        if CODING in codings or self.plugin in results_settings.options:
            yield from super().check()
            yield from self._unusable()
        if CODING in codings[:-1]:
            yield Error(
                f"DJANGO_CELERY_RESULTS['CODINGS'] is {', '.join(map(repr, codings))}, so "
                f"nothing is offloaded; put {CODING!r} last.",
                id=f"{self.check_prefix}.E005",
            )

    def _unusable(self) -> Iterator[CheckMessage]:
        """Yield an error if the storage cannot be made, such as because a library is missing."""
        with suppress(BackendMisconfigured):
            alias = self.storage
            try:
                storages[alias]
            except Exception as error:  # noqa: BLE001 - any error would keep contents in their rows
                yield Error(
                    f"The storage {alias!r} of DJANGO_CELERY_RESULTS['offload']['STORAGE'] cannot "
                    f"be used; correct it in STORAGES: {type(error).__name__}: {error}",
                    id=f"{self.check_prefix}.E006",
                )


options = OffloadOptions()
