"""Results in a SQLite file: ``mystore:///path/of/the/file``."""
