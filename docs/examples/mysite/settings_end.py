# ruff: noqa: F821, D100 - the end of a settings file whose start has INSTALLED_APPS and BASE_DIR
# --
INSTALLED_APPS += ["django_celery_results"]

# A broker that needs no server: each message is a file in this folder.
MESSAGES = BASE_DIR / "messages"
MESSAGES.mkdir(exist_ok=True)
CELERY_BROKER_URL = "filesystem://"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "data_folder_in": str(MESSAGES),
    "data_folder_out": str(MESSAGES),
    "control_folder": str(BASE_DIR / "control"),
    "polling_interval": 0.1,  # seconds
}

CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_TASK_TRACK_STARTED = True
