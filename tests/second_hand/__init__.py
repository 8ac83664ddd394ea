"""Videos and questions by another hand than the package's: never trained on, and sharing no code with it."""
