"""Lets `python -m course_lib.cli` do what `course` does."""

if __name__ == "__main__":  # the workers of a sweep import this file too
    from course_lib.cli.main import course

    course()
