"""Where the audit log is exported to: a sink takes batches in their order, and says when it has them for good."""
