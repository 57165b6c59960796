"""Made from `api/proto` by `make protos`. Not to be changed by hand."""
