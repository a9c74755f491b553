"""What would fail or score low, found before submitting: files, requirements, Dockerfile, and the stems it returns.

In: a submission's folder. Out: findings, each with what to do.
"""
