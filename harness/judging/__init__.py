"""Who did better on stored answers: gold, stored rewards, chat models. Never torch."""
