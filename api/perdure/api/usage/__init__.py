"""What namespaces have used, for people, invoices and limits."""
