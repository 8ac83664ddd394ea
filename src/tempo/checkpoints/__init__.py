"""A model's files: where they are, what their configuration says, the tensors in them, and the hub."""
