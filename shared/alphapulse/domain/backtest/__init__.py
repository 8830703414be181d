"""Backtests: the agents' own code walked over past candles, one bar at a time, without a look ahead.

At the close of each bar the agent gets the evidence there was at that moment. What it says is traded at the
open of the next bar that exists. :mod:`.run` puts the parts together:

``terms``       what trading costs and how much is traded
``walk``        what the agent says at each close
``account``     fills, fees, trades and equity, in Decimal
``simulation``  the account led by what the agent said
``figures``     return, risk and cost of an equity curve
``folds``       parameters chosen on the past, judged on what follows
"""
