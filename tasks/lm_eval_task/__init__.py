"""A task of lm-eval as a task here: its documents, templates, few-shot examples, filters and metrics."""
