"""Making one run: request, stages, record; the cache and the processes."""
