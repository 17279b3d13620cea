# ruff: noqa: F821, D100 - the end of a settings file, which says INSTALLED_APPS further up
# --
INSTALLED_APPS += ["django_celery_results"]

CELERY_BROKER_URL = "redis://localhost"
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
