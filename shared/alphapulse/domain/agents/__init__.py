"""The six agents: pure functions from evidence to a signal or an abstention.

`evidence` says what an agent may read, `parameters` how its settings are declared, `definition` what an agent
is, `registry` which ones there are; each agent is a module of its own.
"""
