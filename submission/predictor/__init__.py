"""The predictor that is submitted: it separates every track within the grader's time limit.

In: a mixture [T, C] and its rate. Out: {stem: [T, C]}, and a record of how they were made.
"""
