"""What a finished run leaves: files, figures and a baseline to set them beside."""
