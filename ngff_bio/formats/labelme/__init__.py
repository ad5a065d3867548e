"""labelme annotation files."""
