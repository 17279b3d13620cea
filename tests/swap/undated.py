"""Run by this release: prints the ids of chords without a creation date, as JSON."""

from __future__ import annotations

import json
import sys

from django_celery_results.models import ChordCounter

undated = ChordCounter.objects.filter(date_created=None)
sys.stdout.write(json.dumps(list(undated.values_list("group_id", flat=True))) + "\n")
