"""Recordings that come with the package, what listeners heard in them, and a page of both."""
