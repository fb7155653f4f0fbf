"""``report.html``: a finished run as one page that opens offline."""
