"""The challenge's entry."""
