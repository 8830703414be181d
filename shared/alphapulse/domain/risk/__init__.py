"""Risk: measures of returns, value at risk, covariance, and stress. All of it pure; losses are positive."""
