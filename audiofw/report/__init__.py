"""``report.html``: what a run gave, to look at and to listen to, in one file that needs no network."""
