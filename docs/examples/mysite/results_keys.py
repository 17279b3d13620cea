"""Where this site has the keys of its results from."""

import os


def fernet_keys():
    """Return the keys, newest first; the environment has them with spaces between."""
    return os.environ["RESULTS_KEYS"].split()
