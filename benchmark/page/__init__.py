"""The report: one html page that opens offline, with tables, plots and players.

In: a folder of results. Out: `report.html`.
"""
