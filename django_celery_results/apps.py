"""The Django app configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.translation import gettext_lazy as _

from .migrations._history import check_migration_history

__all__ = ["CeleryResultConfig"]


class CeleryResultConfig(AppConfig):
    """Registers the app, under the same label as in earlier releases."""

    name = "django_celery_results"
    label = "django_celery_results"
    verbose_name = _("Celery Results")
    # Our models declare their own primary keys. This applies only to models that a site
    # derives from them under this app's label.
    default_auto_field = "django.db.models.AutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from . import checks

        register(check_migration_history, Tags.database)
        for check in (
            checks.check_settings,
            checks.check_options,
            checks.check_plugins,
            checks.check_plugin_settings,
            checks.check_backend,
            checks.check_backend_class,
        ):
            register(check)
