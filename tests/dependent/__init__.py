"""An app like those of sites whose own migrations name single migrations of 2.6."""
