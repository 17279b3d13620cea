"""Tests of the testing kit for plugin authors; the built-in plugins pass its suites."""
