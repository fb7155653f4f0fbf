"""The run folder: its paths and file names, and readers that validate its files."""
