"""Adapters for Amazon's services, each imported where it is used: none of it is needed for anything else."""
