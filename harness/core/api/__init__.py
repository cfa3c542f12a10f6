"""Asking servers that speak OpenAI's protocol: one client for judges, graders and policies behind an API."""
