"""The report: one HTML page of a run, which needs no server, no network and nothing beside itself.

`document` gathers all that the page shows as plain data, `page` puts it into the hand-written files of `static/`.
The page may change freely as long as it fetches nothing and runs no script but its own.
"""
