"""From what is held and what is wanted to a list of orders; pure, and the same for a dry run."""
