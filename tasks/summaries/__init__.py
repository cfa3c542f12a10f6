"""Summaries of one aspect of a paper, from ACLSum."""
