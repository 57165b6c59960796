"""Pages on which people sign in. Without scripts, and without any logic of their own: they call IdentityService."""
