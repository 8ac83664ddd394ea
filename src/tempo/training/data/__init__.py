"""Training data: LLaVA-style conversations → samples → batches of model inputs."""
