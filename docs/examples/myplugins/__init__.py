"""The example plugins of the documentation."""
