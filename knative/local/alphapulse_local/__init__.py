"""Knative on a laptop."""
