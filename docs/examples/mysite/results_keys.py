"""The keys with which this site encrypts results."""

import os


def fernet_keys():
    """Return the keys from the environment, newest first; spaces separate them there."""
    return os.environ["RESULTS_KEYS"].split()
