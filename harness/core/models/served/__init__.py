"""Models that another program serves by OpenAI's protocol: policies of which nothing but texts is known."""
