"""Sources of frames other than video files: images, animations, folders of images, arrays."""
