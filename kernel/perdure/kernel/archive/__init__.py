"""The archive: where closed workflows go before retention removes them, and how they are found there again.

`store` is the seam to whatever holds the files, `places` says what a URI means, `files` what is in it.
"""
