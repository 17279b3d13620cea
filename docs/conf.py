"""How Sphinx builds these pages: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

import django_celery_results

sys.path.insert(0, str(Path(__file__).resolve().parent / "_ext"))

project = "django-celery-results"
author = "the django-celery-results authors"
version = release = django_celery_results.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "benchmark_figures",
    "foreign_names",
    "forge_pages",
]
exclude_patterns = ["_build", "examples"]

html_theme = "furo"
html_title = f"{project} {release}"
# Letters as they are typed: "--json" in a command is not a dash.
smartquotes = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

nitpicky = True
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
