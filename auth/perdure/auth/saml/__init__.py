"""SAML 2.0 as a service provider: requests to identity providers, and what their answers prove."""
