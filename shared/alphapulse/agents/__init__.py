"""What the functions of the agents share: how a run begins, how agents are asked, how they speak."""
