"""What is pinned: the stored payloads of a small toy run, and the settings of today with their defaults."""
