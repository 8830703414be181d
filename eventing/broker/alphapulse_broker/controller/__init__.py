"""The control plane: reconciles `Broker` and `Trigger` objects of class RedisBroker.

`reconcile` decides, without I/O; `observer` looks, `applier` acts, `control_loop` repeats, `operator`
lets kopf tell when to look again.
"""
