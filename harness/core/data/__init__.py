"""A user's file of prompts: its rows, the prompts that they are, and which of them are for what."""
