"""Still and animated images, folders of images and Motion JPEG as videos."""
