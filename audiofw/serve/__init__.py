"""A page and a JSON endpoint to try a run's model on; needs the extra ``serve``."""
