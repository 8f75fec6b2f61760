"""What every diagnostic means, with an example that causes it and its mend; `pages/` holds it all as Markdown."""
