"""What a person or a job asks for: one function each; the order of effects; no input or output."""
