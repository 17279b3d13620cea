"""End-to-end tests of results with real workers, brokers, databases and caches."""
