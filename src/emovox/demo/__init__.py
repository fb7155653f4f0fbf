"""Bundled recordings with listeners' ratings, and a page that plays them."""
