"""Vocabulary and seams that every role shares. Imports no other `perdure` package and no database driver."""
