"""An app like those of sites whose own migrations depend on single migrations of 2.6."""
