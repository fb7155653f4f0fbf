"""Shared parts of all figures and HTML pages: style, media and template environment."""
