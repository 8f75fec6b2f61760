"""What every diagnostic means, with an example that causes it and how to fix it; `pages/` has the text as Markdown."""
