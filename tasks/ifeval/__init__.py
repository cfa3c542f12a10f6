"""IFEval as a task: prompts with instructions that code can check, composed here or the official ones."""
