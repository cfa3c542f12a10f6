"""An aligned model, answering prompts that no run has seen."""
