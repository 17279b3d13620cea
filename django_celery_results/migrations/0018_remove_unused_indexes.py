"""Removes the indexes of 2.6 that no query of this package uses.

A separate migration, so that a site whose own queries use these indexes can stop before it;
the upgrade guide says how.
"""

from __future__ import annotations

from django.db import migrations

from ._online_indexes import RemoveIndexOnline


class Migration(migrations.Migration):
    """Drops the indexes on the creation dates."""

    atomic = False

    dependencies = [("django_celery_results", "0017_expiry_index")]

    operations = [
        RemoveIndexOnline(model_name="taskresult", name="django_cele_date_cr_f04a50_idx"),
        RemoveIndexOnline(model_name="groupresult", name="django_cele_date_cr_bd6c1d_idx"),
    ]
