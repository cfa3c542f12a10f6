"""What is read from stored runs: tables, figures, reports, the leaderboard. Never torch."""
