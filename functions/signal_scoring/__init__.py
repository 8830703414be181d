"""Scores signals once their horizon has passed."""
