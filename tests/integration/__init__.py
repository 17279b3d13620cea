"""Real workers, brokers, databases and caches: what becomes of a result on the whole way."""
