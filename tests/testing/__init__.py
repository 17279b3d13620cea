"""Tests of the kit for authors of plugins; the built-in plugins pass its suites."""
