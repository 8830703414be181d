"""One package per Knative function."""
