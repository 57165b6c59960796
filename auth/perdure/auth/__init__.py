"""Who may do what: rules about credentials and permissions, without I/O. Used by the gateway and the control plane."""
