"""Migrations that depend on ones that the squashed migration replaces."""
