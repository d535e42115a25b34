"""Lets `python -m course_lib.cli` do what `course` does."""

from course_lib.cli.main import course

course()
