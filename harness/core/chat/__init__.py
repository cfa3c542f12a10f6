"""Asking a chat model and remembering what it answered, for judges and graders alike."""
