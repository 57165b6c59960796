"""Wiring of what makes a server one for tenants: who may do what in front of the data plane, and the control plane."""
