"""What every function that touches orders shares: accounts, settlement, and talking to a venue."""
