"""Worker deployments and their versions: records, what may become of them, and where tasks go by them."""
