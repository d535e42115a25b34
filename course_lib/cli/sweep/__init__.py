"""`course sweep`: the real notebooks over a grid of settings and seeds.

design: the file. fingerprint: what a run depends on. planned: cells and cost. workers: where they
run. task: one run. store: the folder of results. summary: means and differences. drive: the sweep
from start to end. page: the report. keep: what is committed.
"""
