"""The report of a run: one HTML page that opens offline, with tables, plots and players.

In: the folder of a run. Out: `report.html`, from `sections`, `charts`, `listening` (audio), the scripts and `page.css`.
"""
