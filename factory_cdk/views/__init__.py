"""What is built and how it is, as rows that tables, JSON and other programs share."""
