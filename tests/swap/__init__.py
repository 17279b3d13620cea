"""Scripts that the same site runs on 2.6.0 and on this release; see tests/test_swap.py."""
