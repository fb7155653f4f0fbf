"""The command line: one small module per command; each parses, makes one call, and prints."""
