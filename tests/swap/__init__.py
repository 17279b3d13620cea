"""Scripts that a site of 2.6.0 and the same site on this release run; see tests/test_swap.py."""
