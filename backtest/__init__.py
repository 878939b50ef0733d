"""A policy tried on a user's own history, in simulated time, with the loop's own judgement."""
