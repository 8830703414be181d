"""The main job, as a user would do it: over HTTP only, from sign-up to profit and loss."""
