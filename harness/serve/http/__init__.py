"""An aligned folder behind an OpenAI-compatible endpoint; needs the extra `serve`."""
