"""The pages in a real Chromium, against a real server process over a real home.

A package, so that the browser ends with the last of its tests in a worker: while it runs, its event loop
is the thread's own, and no later test could start another.
"""
