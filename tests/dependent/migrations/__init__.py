"""Migrations that depend on replaced ones."""
