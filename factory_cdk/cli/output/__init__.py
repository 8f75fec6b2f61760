"""How commands print: tables, JSON, diagnostics, progress and live screens."""
