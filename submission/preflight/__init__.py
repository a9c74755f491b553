"""Finds, before submitting, what would fail or score low: files, requirements, Dockerfile, and the returned stems.

In: a submission's folder. Out: findings, each with what to do.
"""
