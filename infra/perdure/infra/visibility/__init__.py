"""What the SQL drivers of visibility share: queries as SQL, records as rows, page tokens."""
