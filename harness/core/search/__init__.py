"""Search steered by values, and who picks among what it finishes."""
