"""The page of a search: one HTML file with its front, its parallel coordinates, its curves and its words.

In: the comparison of a search's cells. Out: ``report.html``, which loads nothing and needs no script.
"""
