"""Making several runs: along a setting, or to choose settings."""
