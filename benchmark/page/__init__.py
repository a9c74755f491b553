"""The report of a run: one HTML page that opens offline, with tables, plots and players.

Source: the page's parts are `tables`, `charts`, `listening` (what can be heard), and `page.js` and `page.css`.
"""
