"""Training: recipe -> front end -> network -> trainer -> run folder."""
