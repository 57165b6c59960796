"""Single sign-on: connections to accounts' own identity providers, and what somebody is who comes from one."""
