"""What grades one response: a user's function in a process of its own, OpenAI's grader JSON, weighted lists of both."""
