"""The report: one HTML file about a run, which needs no server, no network and no other file.

`document` collects the content of the page as plain data, `page` inserts it into the hand-written files of `static/`.
The page may change freely as long as it makes no request and runs no script but the one inside it.
"""
