"""The web page that runs a model in the browser: its files, and what it needs of the model."""
