"""Write timelines: files that other programs read, a figure, and a page to listen to."""
