"""Client certificates: which authorities a namespace trusts, and which of their certificates open it.

The rules are those of the cloud that we are compatible with (its documentation of certificates), and revocation lists,
which it lacks.
"""
