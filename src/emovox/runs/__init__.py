"""The run folder: its paths and names, and the files in it, checked as they are read."""
