"""What every function process is made of: serving, HTTP and event apps, errors, settings, logs, metrics."""
