"""FederationService: machines that show a token of an issuer that an account trusts, and get a key for a while."""
