"""The control plane: accounts, who may do what, namespaces, keys, usage; CloudService over gRPC and REST."""
