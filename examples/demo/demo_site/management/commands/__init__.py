"""Commands of the demonstration site."""
