"""Migrations that depend on replaced migrations."""
