"""Opens videos and images from files, folders and addresses, and decodes their frames with real times."""
