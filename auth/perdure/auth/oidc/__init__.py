"""Tokens of others: of OpenID Connect issuers that somebody trusts, for people and for machines without a key."""
